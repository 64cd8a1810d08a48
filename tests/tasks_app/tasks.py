"""Tasks that leave a trace, wait, fail, kill their process and break every rule, on request."""

import ast
import asyncio
import json
import logging
import os
import resource
import signal
import sys
import time
from asyncio import CancelledError
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from celery import Task, current_task, shared_task
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from celery.result import allow_join_result
from django.db import connection, transaction
from pydantic import BaseModel

from jobs import Batch, Breaker, Cancel, JobTask, Permanent, Snooze, check_cancelled, each, job, progress, step as kept
from tests.tasks_app.effects import record

if TYPE_CHECKING:
    # Unknown when the task runs, as what is loaded for type checkers alone often is.
    from jobs.worker.reserved import ReservedJob

#: A gate that nobody opens must not hold a worker for ever.
GATE_SECONDS = 90.0


class Broken(Exception):
    """What failing tasks raise."""


def pass_gate(gate: str) -> None:
    """Wait until the file `gate` exists."""
    deadline = time.monotonic() + GATE_SECONDS
    while not Path(gate).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nobody opened {gate}")
        time.sleep(0.02)


# --- Tasks that do their work ---------------------------------------------------------------------


@job
def noop() -> None:
    """Do nothing."""


@job
def note(effect: str) -> None:
    """Leave one effect."""
    record(effect)


#: A file, which is a server as long as it is there.
SERVER = Breaker("tests.server", failures=3, pause=1, longest_pause=2)


@job(breaker=SERVER, max_retries=100, retry_backoff=0.1, retry_backoff_max=0.5)
def depends(name: str, server: str, gate: str) -> None:
    """Need a server, which answers once the gate is open."""
    record(f"{name} asked")
    if not Path(server).exists():
        raise ConnectionError("421 too many connections")
    pass_gate(gate)
    record(f"{name} done")


@job(ignore_result=False)
def double(number: int) -> int:
    """Return twice a number, kept."""
    return 2 * number


@job(ignore_result=False)
def impatient() -> str:
    """Wait for another job, which Celery forbids; return what it says of that."""
    try:
        double.delay(1).get(timeout=1)
    except RuntimeError as exc:
        return str(exc)
    return "it waited"


@job(ignore_result=False)
def patient(how: str) -> int:
    """Wait for another job in one of the ways that Celery allows."""
    asked = double.delay(21)
    if how == "disable_sync_subtasks":
        return int(asked.get(timeout=20, disable_sync_subtasks=False))
    with allow_join_result():
        return int(asked.get(timeout=20))


@job(queue="tests.other", priority=2, max_retries=1, expires=3600)
def elsewhere(effect: str) -> None:
    """Leave one effect from a queue of its own."""
    record(effect)


@job
def step(before: str | None, name: str) -> str:
    """Leave an effect that names what came before, for chains."""
    record(f"{before or 'start'}>{name}")
    return name


@shared_task  # type: ignore[untyped-decorator]
def plain(effect: str) -> None:
    """Leave one effect as a plain Celery task, without a job."""
    record(effect)


@job(time_limit=60)
def gated(effect: str, gate: str) -> None:
    """Say that it began, wait for the gate, say that it ended."""
    record(f"{effect} began")
    pass_gate(gate)
    record(f"{effect} ended")


@job(time_limit=60)
def gated_step(before: str | None, name: str, gate: str) -> str:
    """Be a step of a chain that waits for a gate."""
    record(f"{name} began")
    pass_gate(gate)
    record(f"{before or 'start'}>{name}")
    return name


@job(time_limit=60)
def lasting(effect: str, seconds: float) -> None:
    """Say that it began, work for some time, say that it ended."""
    record(f"{effect} began")
    time.sleep(seconds)
    record(f"{effect} ended")


@job(time_limit=60, max_retries=0)
def lasting_and_broken(effect: str, seconds: float) -> None:
    """Work for some time, and fail."""
    lasting.run(effect, seconds)
    raise Broken("after all that time")


@job(time_limit=60)
def telling(gate: str) -> None:
    """Say how far it is, before a gate and after it, and wait for another one."""
    progress(1, 4, "Warming up")
    pass_gate(gate)
    progress(4, 4, "Tidying up")
    pass_gate(f"{gate} of the end")


@job
def asking(effect: str, how: str, gate: str) -> None:
    """Ask whether it is cancelled until the gate is open, and leave things in order; or hear it and go on."""
    record(f"{effect} began")
    while not Path(gate).exists():
        try:
            progress(1, 2) if how == "progress" else check_cancelled()
        except Cancel:
            if how != "stubborn":
                record(f"{effect} was left in order")
                raise
        time.sleep(0.02)


#: What a task reads of the message that brought its job.
READ = ("priority", "expires", "reply_to", "app_id", "type", "user_id", "content_encoding", "job_correlation_id")


@job(bind=True, retry_backoff=0.1)
def reading(self: JobTask, /, effect: str) -> None:
    """Leave what the request says; fail at first, then give up, then succeed."""
    request: Any = self.request
    said = {name: getattr(request, name, None) for name in READ}
    record(f"{effect} {json.dumps({**said, 'x-own': request.headers.get('x-own')}, sort_keys=True)}")
    if request.job_attempt == 1:
        raise Broken("it failed")
    if request.job_attempt == 2:
        raise Permanent("no retry can mend it")


@job(max_retries=0)
def needing(effect: str, file: str) -> None:
    """Do its work where a file exists, give up where it is missing: what an operator can mend."""
    if not Path(file).exists():
        raise Permanent(f"{Path(file).name} is missing")
    record(effect)


# --- Tasks with limits ----------------------------------------------------------------------------


@job(concurrency=3, time_limit=60)
def slotted(effect: str, seconds: float) -> None:
    """Be one of three that run at once."""
    lasting.run(effect, seconds)


@job(rate_limit="10/s")
def paced(effect: str) -> None:
    """Be one of ten in a second."""
    record(effect)


@job(concurrency=1, key="tenant", time_limit=60)
def by_tenant(tenant: str, effect: str, seconds: float) -> None:
    """Be the only one of a tenant's that runs."""
    lasting.run(f"{tenant} {effect}", seconds)


@job(concurrency=1, key="{owner}", tenant="owner")
def owned(owner: str) -> None:
    """Be limited by whose it is, and take turns by it."""
    record(f"for {owner}")


@job(tenant="tenant")
def of_tenant(tenant: str, effect: str) -> None:
    """Be a tenant's."""
    record(f"{tenant} {effect}")


def _no_key(*args: Any, **kwargs: Any) -> str:
    raise Broken("no key can be made")


@job(concurrency=1, key=_no_key, max_retries=0)
def of_no_key(effect: str) -> None:
    """Never run: what tells its jobs apart fails."""
    record(effect)


# --- Tasks that fail ------------------------------------------------------------------------------


@job(bind=True, retry_backoff=0.2, retry_jitter=False)
def flaky(self: JobTask, effect: str, failures: int) -> None:
    """Fail on the first attempts."""
    record(effect)
    if self.request.retries < failures:
        raise Broken(f"attempt {self.request.retries + 1} fails")


@job(max_retries=0)
def broken(effect: str) -> None:
    """Fail, once and for all."""
    record(effect)
    raise Broken("it never works")


@job(max_retries=2, retry_backoff=0.2, retry_jitter=False)
def killer(effect: str) -> None:
    """Kill the process it runs in."""
    record(effect)
    os.kill(os.getpid(), signal.SIGKILL)


@job(max_retries=5, retry_backoff=0.2, retry_jitter=False)
def poison(effect: str) -> None:
    """Kill the process it runs in, with retries to spare."""
    record(effect)
    os.kill(os.getpid(), signal.SIGKILL)


@job(max_retries=0)
def leaving(effect: str) -> None:
    """Call sys.exit, which would end a pool process."""
    record(effect)
    sys.exit(3)


@job(max_retries=0)
def out_of_memory(effect: str) -> None:
    """Fail as a process without memory does."""
    record(effect)
    raise MemoryError("no memory")


@job(max_retries=0)
def hungry(effect: str) -> None:
    """Take all memory that its process may have."""
    record(effect)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 50 * 2**20, resource.getrlimit(resource.RLIMIT_AS)[1]))
    hoard = []
    while True:
        hoard.append(bytes(2**14))


@job(time_limit=1, max_retries=1, retry_backoff=0.2, retry_jitter=False)
def overlong(effect: str, gate: str) -> None:
    """Run past the hard time limit."""
    record(f"{effect} began")
    pass_gate(gate)
    record(f"{effect} ended")


@job(soft_time_limit=1, time_limit=60, max_retries=1, retry_backoff=0.2, retry_jitter=False)
def warned(effect: str, gate: str) -> None:
    """Run past the soft time limit, and say so."""
    record(f"{effect} began")
    try:
        pass_gate(gate)
    except SoftTimeLimitExceeded:
        record(f"{effect} warned")
        raise


# --- Tasks that steer their job -------------------------------------------------------------------


@job(bind=True)
def steer(self: JobTask, /, how: str, **options: Any) -> str:
    """End as told."""
    match how:
        case "return":
            return "done"
        case "fail":
            raise Broken("it failed")
        case "permanent":
            raise Permanent("no retry can mend it")
        case "snooze":
            raise Snooze(options["seconds"], options.get("reason", ""))
        case "cancel":
            raise Cancel("no longer wanted")
        case "ignore":
            raise Ignore("dealt with")
        case "reject":
            raise Reject("not for me", requeue=options["requeue"])
        case "retry":
            raise self.retry(**options)
        case "retry because":
            raise self.retry(exc=Broken("it failed"), **options)
        case _:
            raise ValueError(how)


@job
def escaping(how: str) -> None:
    """Raise what is no error, but ends a thread or process."""
    if how == "exit":
        sys.exit(3)
    raise CancelledError


@job
def unwritable() -> object:
    """Return what JSON cannot say."""
    return object()


@job(autoretry_for=(OSError,), dont_autoretry_for=(TimeoutError,), max_retries=3)
def picky(error: str) -> None:
    """Raise an OSError, a TimeoutError or a ValueError."""
    raise {"OSError": OSError, "TimeoutError": TimeoutError, "ValueError": ValueError}[error]("by request")


@job
def spawning(effect: str, fail: bool) -> None:
    """Enqueue another job, and fail after that if told to."""
    note.delay(effect)
    if fail:
        raise Permanent("after enqueueing")


@shared_task(bind=True)  # type: ignore[untyped-decorator]
def plain_bound(self: Task, effect: str) -> None:
    """Leave an effect with its task id, as a plain Celery task."""
    record(f"{effect} {self.request.id}")


# --- Tasks for clients, and tasks that hide their arguments ---------------------------------------


class Address(BaseModel):
    """Where to."""

    street: str
    number: int


@job(public=True)
def public_note(effect: str, times: int = 1) -> None:
    """Leave some effects, for a client."""
    for _ in range(times):
        record(effect)


@job(public=True, bind=True)
def bound_note(self: "Task[..., ReservedJob]", effect: str) -> None:
    """Leave an effect, for a client; nobody can resolve one of its annotations at run time."""
    record(effect)


@job(public=True, pydantic=True, queue="tests.other")
def deliver(address: Address, urgent: bool = False) -> None:
    """Take an address, for a client."""
    record(f"{address.street} {address.number} {urgent}")


@job(public=True, redact=("secret",))
def discreet(name: str, secret: str) -> None:
    """Take a secret, for a client."""
    record(name)


@job(redact=True)
def silent(anything: str) -> None:
    """Hide every argument."""


class Pin(BaseModel):
    """What nobody may see."""

    digits: int


@job(
    public=True,
    redact=("secret",),
    unique="{how} {secret}",
    max_retries=1,
    retry_backoff=0.2,
    retry_jitter=False,
    time_limit=60,
)
def confide(how: str, secret: str, gate: str = "") -> str:
    """Tell its secret wherever a task can."""
    progress(1, 2, f"at {secret}")
    match how:
        case "wait":
            record(f"{how} began")
            pass_gate(gate)
        case "raise":
            raise Broken(f"nobody has the number {secret}")
        case "look up":
            dict[str, str]()[secret]
        case "validate":
            Pin.model_validate({"digits": secret})
        case "chain":
            try:
                int(secret)
            except ValueError as exc:
                raise Broken("it is no number") from exc
        case "give up":
            raise Permanent(f"{secret} is wrong")
        case "snooze":
            raise Snooze(3600, f"{secret} comes later")
        case "retry":
            raise confide.retry(exc=Broken(f"not yet {secret}"))
    return secret


@job(redact=True, pydantic=True, max_retries=0)
def pinned(pin: Pin) -> int:
    """Take a secret that is checked before the task begins."""
    return pin.digits


class Whisper(NamedTuple):
    """What each job of a batch that hides its arguments is about."""

    secret: str


@job(batch=10, redact=True, max_retries=0)
def whispered(batch: Batch[Whisper]) -> None:
    """Fail every job of the batch with the secrets of all."""
    raise Broken(" and ".join(item.value.secret for item in batch))


@job(time_limit=60)
def gated_then_permanent(effect: str, gate: str) -> None:
    """Leave an effect, wait for the gate, give up."""
    record(effect)
    pass_gate(gate)
    raise Permanent("no retry can mend it")


class Word(NamedTuple):
    """What each job of a batch is about."""

    text: str


@job(batch=10)
def gathered(batch: Batch[Word]) -> None:
    """Leave an effect for each job of the batch."""
    for item in batch:
        record(item.value.text)


@job(batch=4, batch_wait=3)
def gathered_later(batch: Batch[Word]) -> None:
    """Leave an effect for each job of the batch, and one that says how many they were."""
    record(f"{len(batch)} together")
    for item in batch:
        record(item.value.text)


@job(batch=6, batch_wait=60)
def gathered_much_later(batch: Batch[Word]) -> None:
    """Leave an effect for each job of the batch, which waits long."""
    for item in batch:
        record(item.value.text)


class Waiting(NamedTuple):
    """What each job of a batch that waits is about."""

    effect: str
    gate: str


@job(batch=10, max_retries=0, time_limit=60)
def gated_together(batch: Batch[Waiting]) -> None:
    """Say of each job of the batch that it began, wait for the gate, say of each that it ended."""
    for item in batch:
        record(f"{item.value.effect} began")
    for item in batch:
        pass_gate(item.value.gate)
        record(f"{item.value.effect} ended")


@job(max_retries=0)
def querying(effect: str, statements: list[str], leave_open: bool = False) -> None:
    """Run statements over the default connection, leave an effect with what the last one found."""
    transaction.set_autocommit(not leave_open)
    found: Any = None
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
            found = cursor.fetchone() if cursor.description else None
    record(f"{effect} {found[0] if found else ''}".strip())
    if leave_open:
        raise Broken("with a transaction left open")


@job(time_limit=60)
def telling_in_a_transaction(gate: str) -> None:
    """Say how far it is within a transaction that lasts until the gate is open."""
    with transaction.atomic():
        progress(1, 2, "within")
        record("within")
        pass_gate(gate)


# --- Tasks with steps -----------------------------------------------------------------------------


@job(time_limit=60)
def journey(name: str, gate: str) -> None:
    """Leave an effect in each of three steps; wait for the gate before the last one."""
    kept("first", record, f"{name} first")
    kept("second", record, f"{name} second")
    record(f"{name} waits")
    pass_gate(gate)
    kept("third", record, f"{name} third")


@job(time_limit=60)
def halting(name: str, gate: str) -> None:
    """Wait for the gate within a step."""

    def wait() -> None:
        record(f"{name} waits")
        pass_gate(gate)

    kept("wait", wait)
    kept("after", record, f"{name} after")


@job(time_limit=60)
def marching(name: str, steps: int, rows: int) -> None:
    """Do many small steps, then go through many rows, each of a twentieth of a second."""

    def lasting(effect: str) -> None:
        time.sleep(0.05)
        record(effect)

    for number in range(steps):
        kept(f"step {number}", lasting, f"{name} step {number}")
    for row in each("rows", range(rows)):
        lasting(f"{name} row {row}")


@job(max_retries=0, redact=("secret",))
def talkative(words: str, secret: str = "", times: int = 1) -> None:
    """Log something, a secret included."""
    for _ in range(times):
        logging.getLogger("tests.talkative").info("%s %s", words, secret)


@job(max_retries=1, retry_backoff=0.1, retry_jitter=False)
def last_words(words: str) -> None:
    """Log something and kill its own process; the second time go without a word."""
    if current_task.request.job_attempt > 1:
        return
    logging.getLogger("tests.talkative").warning(words)
    os.kill(os.getpid(), signal.SIGKILL)


@job(max_retries=0)
async def talking_later(words: str) -> None:
    """Log from a coroutine."""
    await asyncio.sleep(0)
    logging.getLogger("tests.talkative").info(words)


@job(max_retries=0)
def say_odd(written: str) -> None:
    """Log a text that no database holds; its argument is how Python writes it."""
    logging.getLogger("tests.talkative").info(ast.literal_eval(written))


@job(max_retries=0)
def grumble() -> None:
    """Log an error that it went on after."""
    try:
        raise Broken("never mind")
    except Broken:
        logging.getLogger("tests.talkative").exception("Went on after")


class _Unspeakable:
    def __str__(self) -> str:
        raise Broken("no words")


@job(max_retries=0)
def mumble() -> None:
    """Log what cannot be put into words."""
    logging.getLogger("tests.talkative").info("%s", _Unspeakable())
