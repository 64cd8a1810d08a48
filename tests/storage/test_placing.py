"""Where variants lie: with everybody's as long as they are published, else aside; whatever happens at once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from pytest_django.fixtures import Settings

from storage import pipeline, references
from storage.errors import StorageError
from storage.references import Access
from tests.storage.other_stores import OtherStore, running
from tests.storage.pictures import picture
from tests.storage.stores import Stores

SOURCE, TARGET = "posts/1/original.jpg", "posts/1"


@dataclass
class Publication:
    """Whether an image is published, and how often its variants were made."""

    published: bool = False
    made: int = 0
    keys: list[str] = field(default_factory=list)

    def make(self) -> None:
        self.made += 1
        resized = pipeline.resize(pipeline.fetch(SOURCE, TARGET))
        self.keys = [one["key"] for one in resized["variants"]]

    def set(self, published: bool) -> bool:
        """Publish it or take it back, as two transactions would, and do what follows."""
        self.published = published
        return pipeline.place(self.keys, self.make)


@pytest.fixture
def publication(stores: Stores, in_use: set[str]) -> Publication:
    image = Publication()
    access = Access(lambda keys: set(keys) if image.published else set(), lambda *_: False)
    references.register("posts/", references.keep_all, access)
    stores.content.put(SOURCE, picture(700, 350), content_type="image/jpeg")
    image.make()
    return image


def assert_placed(stores: Stores, publication: Publication) -> None:
    aside = [f"work/{key}" for key in publication.keys]
    if publication.published:
        assert (stores.keys("assets"), stores.keys()) == (sorted(publication.keys), [SOURCE])
    else:
        assert (stores.keys("assets"), stores.keys()) == ([], sorted([SOURCE, *aside]))


def test_placing_follows_what_is_published_and_may_be_repeated(stores: Stores, publication: Publication) -> None:
    for published in (False, True, True, False, False, True):
        assert publication.set(published) is published
        assert_placed(stores, publication)
    assert publication.made == 1


@pytest.mark.parametrize("published", [False, True])
def test_what_is_in_neither_place_is_made_anew(stores: Stores, publication: Publication, published: bool) -> None:
    publication.set(True)
    stores.assets.delete(publication.keys[:2])
    publication.set(published)
    assert_placed(stores, publication)
    assert publication.made == 2


@pytest.mark.parametrize("published", [False, True])
def test_what_is_in_both_places_is_left_in_one(stores: Stores, publication: Publication, published: bool) -> None:
    publication.set(True)
    publication.make()
    publication.set(published)
    assert_placed(stores, publication)


@pytest.mark.parametrize("code, permanent", [("AccessDenied", True), ("SlowDown", False)])
def test_a_store_that_keeps_what_is_to_be_hidden_is_an_error(
    publication: Publication, settings: Settings, code: str, permanent: bool
) -> None:
    refused = {publication.keys[0]: code}
    with running(OtherStore(keys=set(publication.keys), refused=refused)) as other:
        settings.ASSETS_ENDPOINT = other.endpoint
        with pytest.raises(StorageError, match=f"still shows everybody .*{code}") as failure:
            publication.set(False)
        assert failure.value.permanent is permanent
        assert other.keys == {publication.keys[0]}
        other.refused.clear()
        assert not publication.set(False)
        assert other.keys == set()


def test_any_number_at_once_leave_everything_in_its_place(stores: Stores, publication: Publication) -> None:
    def act(number: int) -> None:
        # It gives up where it is changed all the time; its job would try again.
        for published in (bool(number % 2), not number % 2, bool(number % 3)):
            try:
                publication.set(published)
            except StorageError:
                pipeline.place(publication.keys, publication.make)

    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            list(pool.map(act, range(4)))
            assert_placed(stores, publication)
