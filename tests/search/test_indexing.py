"""Documents brought in step with their objects, by batches of jobs and by reindexes."""

import itertools
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from jobs import Permanent
from search import backends, documents, indexing, reindexing
from search.backends.base import SearchBackend
from search.documents import Document, IndexSettings, Kind
from search.errors import SearchError
from search.models import Reindex
from search.tasks import reindex as reindex_task

pytestmark = pytest.mark.django_db

SETTINGS = IndexSettings(searchable=("title",))


class Shelf:
    """Objects to index, and what happens between reading and writing them."""

    def __init__(self, index: str) -> None:
        self.objects: dict[str, str] = {}
        #: Called once, after the next read: somebody changes something meanwhile.
        self.meanwhile: list[object] = []
        self.kind = Kind("book", index, SETTINGS, load=self._load, page=self._page, count=lambda: len(self.objects))

    def _load(self, ids: Sequence[str]) -> Iterator[Document]:
        found = [{"id": key, "title": self.objects[key]} for key in ids if key in self.objects]
        while self.meanwhile:
            change = self.meanwhile.pop()
            assert callable(change)
            change()
        return iter(found)

    def _page(self, after: str, limit: int) -> list[str]:
        return sorted(key for key in self.objects if key > after)[:limit]


@pytest.fixture
def shelf(index: str, backend: SearchBackend, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """A kind of document, on each backend in turn."""
    shelf = Shelf(index)
    monkeypatch.setattr(documents, "_kinds", {"book": shelf.kind})
    for module in (indexing, reindexing):
        monkeypatch.setattr(module, "backend", lambda: backend)
    backends.backend.cache_clear()
    return shelf


def _titles(backend: SearchBackend, shelf: Shelf) -> dict[str, str]:
    found = backend.search(shelf.kind.index, "", limit=1000).hits
    return {hit.document["id"]: hit.document["title"] for hit in found}


def _ignore(*_: object) -> None:
    """Take no notice of progress."""


def test_an_object_is_indexed_as_it_is_and_removed_when_it_is_gone(shelf: Shelf, backend: SearchBackend) -> None:
    shelf.objects |= {"a": "one", "b": "two"}
    indexing.index(shelf.kind, ["a", "b", "c"])
    assert _titles(backend, shelf) == {"a": "one", "b": "two"}
    del shelf.objects["a"]
    indexing.index(shelf.kind, ["a"])
    assert _titles(backend, shelf) == {"b": "two"}


def test_a_change_between_reading_and_writing_is_not_lost(shelf: Shelf, backend: SearchBackend) -> None:
    shelf.objects["a"] = "before"
    shelf.meanwhile.append(lambda: shelf.objects.update(a="after"))
    indexing.index(shelf.kind, ["a"])
    assert _titles(backend, shelf) == {"a": "after"}


def test_a_reindex_holds_what_changed_meanwhile_and_not_what_went(shelf: Shelf, backend: SearchBackend) -> None:
    shelf.objects |= {f"k{number:03}": "old" for number in range(20)}
    indexing.index(shelf.kind, sorted(shelf.objects))

    def change() -> None:
        shelf.objects["k001"] = "new"
        del shelf.objects["k002"]
        # Their own jobs run while the reindex is under way.
        indexing.index(shelf.kind, ["k001", "k002"])

    shelf.meanwhile.append(change)
    reindexing.reindex(shelf.kind, uuid.uuid4(), _ignore)
    titles = _titles(backend, shelf)
    assert titles["k001"] == "new"
    assert "k002" not in titles
    assert len(titles) == 19
    assert not backend.has_staging(shelf.kind.index)


def test_a_document_that_is_refused_is_left_out_of_a_reindex_and_named_in_the_log(
    shelf: Shelf, backend: SearchBackend, caplog: pytest.LogCaptureFixture
) -> None:
    shelf.objects |= {f"k{number}": "fine" for number in range(7)} | {"k5": "x" * 10_000_001}
    assert reindexing.reindex(shelf.kind, uuid.uuid4(), _ignore) == 7
    assert sorted(_titles(backend, shelf)) == ["k0", "k1", "k2", "k3", "k4", "k6"]
    assert "The book k5 is left out" in caplog.text


@pytest.mark.parametrize("looks", [1, 2, 3, 4])
def test_a_change_indexed_while_the_indexes_are_swapped_is_in_the_new_one(
    shelf: Shelf, backend: SearchBackend, looks: int
) -> None:
    shelf.objects["a"] = "before"
    indexing.index(shelf.kind, ["a"])
    backend.begin_staging(shelf.kind.index, SETTINGS)
    # The reindex has been past it when it changes.
    backend.put_staging(shelf.kind.index, [{"id": "a", "title": "before"}])
    shelf.objects["a"] = "after"

    reads = itertools.count(1)

    def load(ids: Sequence[str]) -> Iterator[Document]:
        found = list(shelf.kind.load(ids))
        if next(reads) == looks:
            backend.swap(shelf.kind.index)
        return iter(found)

    indexing.index(replace(shelf.kind, load=load), ["a"])
    assert _titles(backend, shelf) == {"a": "after"}


def test_a_reindex_drops_what_the_index_should_not_hold(shelf: Shelf, backend: SearchBackend) -> None:
    shelf.objects |= {"a": "one", "b": "two"}
    indexing.index(shelf.kind, ["a", "b"])
    del shelf.objects["b"]
    reindexing.reindex(shelf.kind, uuid.uuid4(), _ignore)
    assert _titles(backend, shelf) == {"a": "one"}


def test_a_killed_reindex_goes_on_where_it_stood(
    shelf: Shelf, backend: SearchBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reindexing, "BATCH", 5)
    shelf.objects |= {f"k{number:03}": "x" for number in range(20)}
    job_id, seen = uuid.uuid4(), []

    class Killed(Exception):
        """Stands for the end of the process."""

    def die_half_way(done: float, total: float | None, _: str) -> None:
        seen.append(done)
        if done >= 10:
            raise Killed

    # The job is still there, waiting for its next attempt.
    monkeypatch.setattr(reindexing, "_abandon_those_of_ended_jobs", _ignore)
    with pytest.raises(Killed):
        reindexing.reindex(shelf.kind, job_id, die_half_way)
    reindexing.reindex(shelf.kind, job_id, lambda done, *_: seen.append(done))
    assert seen == [5, 10, 15, 20, 20]
    assert len(_titles(backend, shelf)) == 20


def test_a_reindex_killed_while_it_swapped_begins_again(
    shelf: Shelf, backend: SearchBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.objects |= {"a": "one", "b": "two"}
    monkeypatch.setattr(reindexing, "_abandon_those_of_ended_jobs", _ignore)
    job_id, swap = uuid.uuid4(), backend.swap

    class Killed(Exception):
        """Stands for the end of the process."""

    def swap_and_die(index: str) -> None:
        swap(index)
        # What is left beside the live index is not what was built.
        backend.put_staging(index, [{"id": "z", "title": "stale"}])
        raise Killed

    monkeypatch.setattr(backend, "swap", swap_and_die)
    with pytest.raises(Killed):
        reindexing.reindex(shelf.kind, job_id, _ignore)
    monkeypatch.setattr(backend, "swap", swap)
    reindexing.reindex(shelf.kind, job_id, _ignore)
    assert _titles(backend, shelf) == {"a": "one", "b": "two"}


def test_two_reindexes_of_one_index_at_once_are_refused(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reindexing, "_abandon_those_of_ended_jobs", _ignore)
    Reindex.objects.create(index=shelf.kind.index, job_id=uuid.uuid4())
    with pytest.raises(SearchError, match="under way") as caught:
        reindexing.reindex(shelf.kind, uuid.uuid4(), _ignore)
    assert caught.value.permanent


def test_a_reindex_whose_job_is_gone_is_no_obstacle(shelf: Shelf, backend: SearchBackend) -> None:
    shelf.objects["a"] = "one"
    Reindex.objects.create(index=shelf.kind.index, job_id=uuid.uuid4())
    reindexing.reindex(shelf.kind, uuid.uuid4(), _ignore)
    assert _titles(backend, shelf) == {"a": "one"}


def test_an_unknown_kind_is_a_permanent_error_that_names_it() -> None:
    with pytest.raises(SearchError, match="nonsense") as caught:
        documents.kind("nonsense")
    assert caught.value.permanent
    reindex_task.push_request(id=str(uuid.uuid4()), called_directly=True)
    with pytest.raises(Permanent, match="nonsense"):
        reindex_task("nonsense")
