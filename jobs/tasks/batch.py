"""Batches: a task with `batch=100` gets up to 100 of its waiting jobs in one call.

The jobs that wait are claimed with the one whose message came, greedily and without waiting for more: under load
batches grow, and an idle system answers at once. Each job keeps its own state, error and retries.
"""

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, get_args, get_type_hints

from jobs.errors import InvalidOption

T = TypeVar("T")


@dataclass(slots=True)
class Item(Generic[T]):
    """One job of a batch.

    Attributes:
        value: its arguments, as the type that the task's parameter names.
        job_id: the job.
        error: why it failed; None while it has not.
    """

    value: T
    job_id: uuid.UUID
    error: Exception | None = None

    def fail(self, error: Exception) -> None:
        """Let this job alone fail with `error`; it is retried, put off or given up as if it had raised it."""
        self.error = error


class Batch(Sequence[Item[T]]):
    """The jobs of one call. Those not failed one by one have succeeded when the function returns.

    Declare the task with the type of its arguments: any class whose constructor takes them.

        class Document(NamedTuple):
            kind: str
            pk: str

        @job(batch=100)
        def index(batch: Batch[Document]) -> None: ...

        index.delay("post", "42")
    """

    def __init__(self, items: Sequence[Item[T]]) -> None:
        self._items = items

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Item[T]]:
        return iter(self._items)


def item_type(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the type of a batch task's arguments. Raises InvalidOption where its parameter does not say."""
    hints = [hint for name, hint in get_type_hints(function).items() if name != "return"]
    named = get_args(hints[0]) if len(hints) == 1 else ()
    if len(named) != 1:
        raise InvalidOption(
            f"{function.__qualname__}: a task with batch= takes one parameter, annotated Batch[T] with the type of"
            " each job's arguments."
        )
    kind: Callable[..., Any] = named[0]
    return kind
