"""`step()` and `each()`: what a task has done is kept, and a later attempt of its job goes on from there."""

import asyncio
import contextlib
import inspect
import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

from asgiref.sync import sync_to_async
from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connections
from kombu.utils.json import loads

from jobs.compose.results import NoResult, encoded
from jobs.core import described
from jobs.errors import LeaseLost, StepError
from jobs.ledger import steps as ledger
from jobs.ledger.steps import Became, SavedStep
from jobs.tasks.encryption import decrypted_text, encrypted_text, token_in

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

#: The longest name of a step.
NAME_LENGTH = 100

#: Seconds between two saves of a loop, unless it says otherwise.
EVERY = 1.0


#: Seconds until the database is asked again that does not answer.
OUTAGE_PAUSE = 0.5


class Interrupted(BaseException):
    """Raised between two steps where the worker stops. Not an `Exception`: the task's own handlers let it pass."""


def step(name: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function once for the job at hand, and keep its result: a later attempt gets that, and calls nothing.

        receipt = step("charge", charge, order_id)
        step("mail the receipt", send_receipt, receipt)

    The result is kept when the function has returned, over the task's database connection: in a transaction it is kept
    with what else is in there, or not at all. A process that dies between the effect and that moment does the step
    again: key its effect by the job's id, as any task's. Where the worker is stopped, the job goes back to its queue
    before the next step, without an attempt. `await step("charge", charge, order_id)` where the function is
    `async def`. Outside of a job, and with CELERY_TASK_ALWAYS_EAGER, the function is just called.

    Args:
        name: of the step, at most 100 characters, used once in an attempt.
        function: what is called.
        *args: what it is called with.
        **kwargs: the same by name.

    Returns:
        What it returned, as JSON keeps it in a job, the first time as well: a tuple becomes a list.

    Raises:
        LeaseLost: the job is another worker's by now. Nothing was kept.
        StepError: the name was used before in this attempt, is none, or step() cannot be used here.
        NoResult: what it returned is no JSON, or has more than JOBS_MAX_RESULT_BYTES. No retry is made.
    """
    attempt = _current.get()
    call = partial(function, *args, **kwargs)
    if attempt is None:
        return call()
    if inspect.iscoroutinefunction(function):
        return cast("R", _awaited(attempt, name, call))
    _refuse_event_loop("step", "give it an `async def` function and await it, or")
    found = attempt.enter(name)
    if found is not None:
        return cast("R", _result_of(found))
    began_at = time.monotonic()
    return cast("R", attempt.keep_result(name, call(), began_at))


async def _awaited(attempt: "_Attempt", name: str, call: Callable[[], Any]) -> Any:
    found = await sync_to_async(attempt.enter)(name)
    if found is not None:
        return _result_of(found)
    began_at = time.monotonic()
    return await sync_to_async(attempt.keep_result)(name, await call(), began_at)


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
    attempt = _current.get()
    if attempt is None:
        return iter(rows(None) if callable(rows) else rows)
    _refuse_event_loop("each", "")
    return _passed(attempt, _Loop(attempt, name, rows, cursor, every))


def _passed(attempt: "_Attempt", loop: "_Loop[T]") -> Iterator[T]:
    found = attempt.enter(loop.name, is_loop=True)
    if found is not None and found.is_complete:
        return
    attempt.loops.append(loop)
    for row in loop.left(found):
        yield row
        loop.passed(row)
    loop.save(is_complete=True)


def _refuse_event_loop(what: str, instead: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise StepError(
        f"{what}() would block the event loop of an `async def` task: {instead} call it within"
        " `sync_to_async` (asgiref.sync)."
    )


def _result_of(found: SavedStep) -> Any:
    return None if found.value is None else loads(found.value)


@dataclass(slots=True)
class _Attempt:
    """One attempt of a job, as its steps see it.

    Attributes:
        let_end: raises what ends the attempt between two steps, where something is to.
        has_steps: whether it may have any: one call of a batch task is several jobs'.
        encrypt: whether what they return, and the places of loops, are kept encrypted.
        used: the names of the steps that it has come to.
    """

    job_id: uuid.UUID
    lease_id: str
    let_end: Callable[[], None]
    has_steps: bool
    encrypt: bool
    used: set[str] = field(default_factory=set)
    loops: list["_Loop[Any]"] = field(default_factory=list)
    _saved: dict[str, SavedStep] | None = None

    def enter(self, name: str, *, is_loop: bool = False) -> SavedStep | None:
        """Begin a step. Returns what is saved of it, if something is; raises Interrupted where it is not to begin."""
        self._check(name)
        self.used.add(name)
        found = self._load().get(name)
        if found is not None and (found.rows_done is not None) is not is_loop:
            was, now = ("a step", "each()") if is_loop else ("each()", "a step")
            raise StepError(
                f"The step {name!r} was saved as {was}, and is {now} now. Give it another name, or replay the job from"
                f" step {found.number}."
            )
        if found is None or not found.is_complete:
            self.let_end()
        return found

    def _check(self, name: object) -> None:
        if not self.has_steps:
            raise StepError(f"The step {name!r} is not possible: one call of a task with batch= is several jobs'.")
        if not isinstance(name, str) or not 0 < len(name) <= NAME_LENGTH or not name.isprintable():
            raise StepError(
                f"{name!r:.200} is not valid as the name of a step: it must be a printable text of 1 to {NAME_LENGTH}"
                " characters."
            )
        if name in self.used:
            raise StepError(
                f"The step {name!r} was used before in this attempt: each name stands for one result. In a loop, make"
                " the row a part of the name, or use each()."
            )

    def _load(self) -> dict[str, SavedStep]:
        if self._saved is None:
            self._saved = {
                saved.name: replace(saved, value=_readable_text(saved.value)) for saved in ledger.load(self.job_id)
            }
        return self._saved

    def keep_result(self, name: str, result: Any, began_at: float) -> Any:
        """Keep what a step returned. Returns it as a later attempt would have it."""
        try:
            text = encoded(result)
        except NoResult as exc:
            raise NoResult(f"The step {name!r} is done, but cannot be kept. {exc}") from None
        try:
            value = loads(text)
        except Exception as exc:  # noqa: BLE001 (the constructors of Kombu's own types raise what they like)
            raise NoResult(f"The step {name!r} is done, but cannot be kept: {described.shown(exc)}") from None
        self.save(SavedStep(self.number_of(name), name, text), began_at)
        return value

    def number_of(self, name: str) -> int:
        """Return the place of a step among those that are saved, or about to be."""
        saved = self._load()
        return saved[name].number if name in saved else max((one.number for one in saved.values()), default=0) + 1

    def save(self, saved: SavedStep, began_at: float) -> None:
        """Keep a step. Raises LeaseLost, or StepError where another attempt has kept one of this name."""
        seconds = time.monotonic() - began_at
        kept = saved
        if self.encrypt and saved.value is not None:
            kept = replace(saved, value=encrypted_text(saved.value))
        became = _while_database_is_away(partial(ledger.save, self.job_id, self.lease_id, kept, seconds))
        if became is Became.LOST:
            raise LeaseLost(
                f"The step {saved.name!r} cannot be kept: the job's lease was lost, and another worker may have begun"
                " the job again."
            )
        if became is Became.TAKEN:
            raise LeaseLost(
                f"The step {saved.name!r} cannot be kept: an attempt that had lost its lease kept it first."
            )
        self._load()[saved.name] = saved


def _readable_text(text: str | None) -> str | None:
    """Return the JSON that a step has kept, as it was."""
    token = None if text is None else token_in(text)
    return text if token is None else decrypted_text(token)


def _while_database_is_away(call: Callable[[], Became]) -> Became:
    """Call it again until the database answers: what was done must not be done again for want of a record.

    In a transaction of the task's, which is lost, what was done in there has to be done again in any case.
    """
    while True:
        try:
            return call()
        except (OperationalError, InterfaceError):
            if _is_in_transaction():
                raise
            connections[DEFAULT_DB_ALIAS].close()
            time.sleep(OUTAGE_PAUSE)


#: The attempt in whose body this code runs; known in coroutines and their threads too.
_current: ContextVar[_Attempt | None] = ContextVar("attempt", default=None)


@contextmanager
def of_attempt(
    job_id: uuid.UUID, lease_id: str, *, let_end: Callable[[], None], has_steps: bool, encrypt: bool = False
) -> Iterator[None]:
    """Let the body that runs meanwhile have steps.

    Args:
        job_id: the job.
        lease_id: under which its steps are kept.
        let_end: called before each step; raises `Interrupted` where the worker stops, and `Cancel` where nobody wants
            the job any more.
        has_steps: false where the body runs for several jobs.
        encrypt: whether what they return is kept encrypted.

    Raises:
        Interrupted: from within the body, between two of its steps.
    """
    attempt = _Attempt(job_id, lease_id, let_end, has_steps, encrypt)
    token = _current.set(attempt)
    try:
        yield
    finally:
        _current.reset(token)
        for loop in attempt.loops:
            loop.leave()


class _Loop(Generic[T]):
    """How far an attempt has come with its rows."""

    def __init__(
        self,
        attempt: _Attempt,
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
        self._is_ahead = not _is_in_transaction()
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
        if self._is_ahead and not _is_in_transaction():
            with contextlib.suppress(Exception):
                self.save()


def _is_in_transaction() -> bool:
    database = connections[DEFAULT_DB_ALIAS]
    return bool(database.in_atomic_block or (database.connection is not None and not database.autocommit))
