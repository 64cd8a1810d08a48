"""`step()`: what a task has done is kept, and a later attempt of its job goes on from there."""

import inspect
import time
from collections.abc import Callable
from functools import partial
from typing import Any, ParamSpec, TypeVar, cast

from asgiref.sync import sync_to_async
from kombu.utils.json import loads

from jobs.compose.attempt_steps import AttemptSteps, current_steps, refuse_event_loop
from jobs.errors import StepError
from jobs.ledger.steps import SavedStep

P = ParamSpec("P")
R = TypeVar("R")


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
    if not callable(function):
        raise StepError(f"step({name!r}, …) was given {function!r:.200}, which is no function that it could call.")
    attempt = current_steps()
    call = partial(function, *args, **kwargs)
    if attempt is None:
        return call()
    if inspect.iscoroutinefunction(function):
        attempt.unawaited.append(name)
        return cast("R", _awaited(attempt, name, call))
    refuse_event_loop("step", "give it an `async def` function and await it, or")
    found = attempt.enter(name)
    if found is not None:
        return cast("R", _result_of(found))
    began_at = time.monotonic()
    return cast("R", attempt.keep_result(name, call(), began_at))


async def _awaited(attempt: AttemptSteps, name: str, call: Callable[[], Any]) -> Any:
    attempt.unawaited.remove(name)
    found = await sync_to_async(attempt.enter)(name)
    if found is not None:
        return _result_of(found)
    began_at = time.monotonic()
    return await sync_to_async(attempt.keep_result)(name, await call(), began_at)


def _result_of(found: SavedStep) -> Any:
    return None if found.value is None else loads(found.value)
