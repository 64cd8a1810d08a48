"""Bringing an index in step with what is there: documents written, read again, and written again if they changed."""

from collections.abc import Callable, Sequence

from django.core.exceptions import ValidationError

from search.backends import backend
from search.documents import Document, Kind
from search.errors import SearchError

#: Rounds in which documents may change under our eyes before that is taken for an error.
ROUNDS = 10

Put = Callable[[str, Sequence[Document]], None]
Remove = Callable[[str, Sequence[str]], None]


def index(kind: Kind, ids: Sequence[str]) -> None:
    """Let the index show the present state of these objects: changed, hidden or gone.

    While a reindex builds a second index, that one is told as well, and first: the two may be swapped at any moment,
    and whichever is live after that has been told. Raises SearchError.
    """
    server = backend()
    server.prepare(kind.index, kind.settings)
    if server.has_staging(kind.index):
        bring_in_step(kind, ids, server.put_staging, server.remove_staging)
    bring_in_step(kind, ids, server.put, server.remove)


def bring_in_step(kind: Kind, ids: Sequence[str], put: Put, remove: Remove) -> None:
    """Write documents and read their objects again, until what was written is what is there.

    Two jobs may index one object at once, and the one that read first may write last; its second look finds that.
    """
    wanted = list(dict.fromkeys(ids))
    written: dict[str, Document | None] = {}
    for _ in range(ROUNDS):
        present = _present(kind, wanted)
        differing = [key for key in wanted if key not in written or written[key] != present.get(key)]
        if not differing:
            return
        put(kind.index, [present[key] for key in differing if key in present])
        remove(kind.index, [key for key in differing if key not in present])
        written |= {key: present.get(key) for key in differing}


def _present(kind: Kind, ids: Sequence[str]) -> dict[str, Document]:
    """Return the documents there are, by their ids. Raises a permanent SearchError where an id can be nobody's."""
    try:
        return {str(document["id"]): document for document in kind.load(ids)}
    except (ValidationError, ValueError) as exc:
        said = " ".join(exc.messages) if isinstance(exc, ValidationError) else str(exc)
        raise SearchError(f"There can be no {kind.name} of this id: {said}", permanent=True) from exc
