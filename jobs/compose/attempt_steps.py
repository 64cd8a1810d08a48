"""The steps of one attempt of a job: loaded when the first of them begins, and kept under the job's lease."""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connections
from kombu.utils.json import loads

from jobs.compose.results import NoResult, encoded
from jobs.core import described
from jobs.errors import LeaseLost, StepError
from jobs.ledger import steps as ledger
from jobs.ledger.steps import Became, SavedStep
from jobs.tasks.encryption import decrypted_text, encrypted_text, token_in

#: The longest name of a step.
NAME_LENGTH = 100

#: Seconds until the database is asked again that does not answer.
OUTAGE_PAUSE = 0.5


class Interrupted(BaseException):
    """Raised between two steps where the worker stops. Not an `Exception`: the task's own handlers let it pass."""


@dataclass(slots=True)
class AttemptSteps:
    """The steps of one attempt of a job.

    Attributes:
        let_end: raises what ends the attempt between two steps, where something is to.
        has_steps: whether it may have any: one call of a batch task is several jobs'.
        encrypt: whether what they return, and the places of loops, are kept encrypted.
        used: the names of the steps that it has come to.
        unawaited: the names of those that are coroutines and have not begun.
        at_end: called when the body has ended, however it did.
    """

    job_id: uuid.UUID
    lease_id: str
    let_end: Callable[[], None]
    has_steps: bool
    encrypt: bool
    used: set[str] = field(default_factory=set)
    unawaited: list[str] = field(default_factory=list)
    at_end: list[Callable[[], None]] = field(default_factory=list)
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
            if is_in_transaction():
                raise
            connections[DEFAULT_DB_ALIAS].close()
            time.sleep(OUTAGE_PAUSE)


#: The steps of the attempt in whose body this code runs; known in coroutines and their threads too.
_current: ContextVar[AttemptSteps | None] = ContextVar("attempt", default=None)


def current_steps() -> AttemptSteps | None:
    """Return the steps of the attempt in whose body this code runs; None outside of one."""
    return _current.get()


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
    attempt = AttemptSteps(job_id, lease_id, let_end, has_steps, encrypt)
    token = _current.set(attempt)
    try:
        yield
        if attempt.unawaited:
            raise StepError(
                f"The step {attempt.unawaited[0]!r} was not done: it is `async def`, and nobody awaited it."
            )
    finally:
        _current.reset(token)
        for leave in attempt.at_end:
            leave()


@contextmanager
def without_steps() -> Iterator[None]:
    """Have what is called meanwhile know of no attempt: `step()` and `each()` keep nothing there."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)


def refuse_event_loop(what: str, instead: str) -> None:
    """Raise StepError in an event loop, which a query would block. `instead` is what else may be done there."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise StepError(
        f"{what}() would block the event loop of an `async def` task: {instead} call it within"
        " `sync_to_async` (asgiref.sync)."
    )


def is_in_transaction() -> bool:
    """Return whether what the task writes now can still be taken back."""
    database = connections[DEFAULT_DB_ALIAS]
    return bool(database.in_atomic_block or (database.connection is not None and not database.autocommit))
