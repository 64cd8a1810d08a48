"""`each()`: how far a task has come with its rows is kept, and a later attempt of its job goes on from there."""

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Generic, TypeVar, overload

from kombu.utils.json import loads

from jobs.compose.attempt_steps import AttemptSteps, current_steps, is_in_transaction, refuse_event_loop
from jobs.compose.results import NoResult, encoded
from jobs.errors import StepError
from jobs.ledger.steps import SavedStep

T = TypeVar("T")

#: Seconds between two saves of a loop, unless it says otherwise.
EVERY = 1.0


@overload
def each(
    name: str, rows: Callable[[Any], Iterable[T]], /, *, cursor: Callable[[T], Any], every: float = ...
) -> Iterator[T]: ...
@overload
def each(
    name: str, rows: Iterable[T], /, *, cursor: Callable[[T], Any] | None = ..., every: float = ...
) -> Iterator[T]: ...
def each(
    name: str,
    rows: Iterable[T] | Callable[[Any], Iterable[T]],
    /,
    *,
    cursor: Callable[[T], Any] | None = None,
    every: float = EVERY,
) -> Iterator[T]:
    """Go through rows so that a later attempt goes on after the last one that was done.

        for order in each("orders", lambda after: orders_after(after), cursor=lambda order: order.pk):
            remind(order)

    A row is done when the next one is asked for. The place is saved every second, over the task's connection as by
    `step()`, and once more when the loop ends, its body fails, or the worker is stopped: the job then goes back to its
    queue without an attempt. A process that dies may do those rows again that came after the last save.

    Args:
        name: as that of a step.
        rows: what to go through, in the same order each time. Or a function that returns it: it gets the cursor of the
            last row that was done, None in the beginning, and returns the rows after that.
        cursor: returns what names the place of a row, as JSON. Without it rows are counted, and those done are skipped.
        every: seconds between two saves; 0 saves after each row.

    Raises:
        StepError: the arguments do not fit each other; in the loop, as `step()`, and where `rows` do not hold the row
            any more that was done last.
        LeaseLost: in the loop, as `step()`.
    """
    if callable(rows) and cursor is None:
        raise StepError(f"each({name!r}): a function of the cursor needs one: say cursor=, what names a row's place.")
    if type(every) not in {int, float} or not every >= 0:
        raise StepError(f"each({name!r}): every={every!r} is not valid: it must be seconds, zero or more.")
    attempt = current_steps()
    if attempt is None:
        return iter(rows(None) if callable(rows) else rows)
    refuse_event_loop("each", "")
    return _passed(attempt, _Loop(attempt, name, rows, cursor, every))


def _passed(attempt: AttemptSteps, loop: "_Loop[T]") -> Iterator[T]:
    found = attempt.enter(loop.name, is_loop=True)
    if found is not None and found.is_complete:
        return
    attempt.at_end.append(loop.leave)
    for row in loop.left(found):
        yield row
        loop.passed(row)
    loop.save(is_complete=True)


class _Loop(Generic[T]):
    """How far an attempt has come with its rows."""

    def __init__(
        self,
        attempt: AttemptSteps,
        name: str,
        rows: Iterable[T] | Callable[[Any], Iterable[T]],
        cursor: Callable[[T], Any] | None,
        every: float,
    ) -> None:
        self.name = name
        self._attempt, self._rows, self._cursor, self._every = attempt, rows, cursor, every
        self._began_at = self._saved_at = time.monotonic()
        self._done = 0
        self._place: str | None = None
        #: Whether rows were done since the last save, outside of a transaction: nothing can undo them.
        self._is_ahead = False

    def left(self, found: SavedStep | None) -> Iterator[T]:
        """Return the rows that are not done. Raises StepError where it cannot be said which these are."""
        if found is not None:
            self._done, self._place = found.rows_done or 0, found.value
        if callable(self._rows):
            return iter(self._rows(None if self._place is None else loads(self._place)))
        if self._cursor is None:
            return islice(self._rows, self._done, None)
        return iter(self._rows) if self._place is None else self._after(self._place, self._rows)

    def _after(self, place: str, rows: Iterable[T]) -> Iterator[T]:
        left = iter(rows)
        for row in left:
            text = self._place_of(row)
            # The database may write the same value in another way.
            if text is not None and json.loads(text) == json.loads(place):
                return left
        raise StepError(
            f"each({self.name!r}) cannot go on: no row has the cursor {place:.200} any more, that of the last one done."
            " Give it a function that returns the rows after a cursor."
        )

    def _place_of(self, row: T) -> str | None:
        if self._cursor is None:
            return None
        try:
            return encoded(self._cursor(row))
        except NoResult as exc:
            raise StepError(f"each({self.name!r}): the cursor of a row cannot be kept. {exc}") from None

    def passed(self, row: T) -> None:
        """Note that a row is done."""
        self._done, self._place = self._done + 1, self._place_of(row)
        self._is_ahead = not is_in_transaction()
        try:
            self._attempt.let_end()
        except BaseException:
            self.save()
            raise
        if time.monotonic() - self._saved_at >= self._every:
            self.save()

    def save(self, *, is_complete: bool = False) -> None:
        """Keep the place."""
        number = self._attempt.number_of(self.name)
        self._attempt.save(SavedStep(number, self.name, self._place, self._done, is_complete), self._began_at)
        self._saved_at, self._is_ahead = time.monotonic(), False

    def leave(self) -> None:
        """Keep the place of a loop whose body has failed, or left it. What cannot be kept is done again."""
        if self._is_ahead and not is_in_transaction():
            with contextlib.suppress(Exception):
                self.save()
