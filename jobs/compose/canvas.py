"""Celery's groups and chords, written to the ledger whole or not at all.

`group` and `chord` are Celery's own; what they do when they are called is done here within one transaction, in which
their jobs are gathered and written together with the group's row. Tasks that are no jobs are sent as ever.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any, NoReturn

from celery import Celery
from celery.canvas import _chain, _chord, group
from celery.utils import uuid as new_id
from django.db import transaction

from jobs.compose.backend import LedgerBackend
from jobs.core.canonical import encode, why_not_storable
from jobs.core.job_ids import ledger_id
from jobs.core.places import place_of_result, shortened
from jobs.enqueue.enqueuer import write_group
from jobs.enqueue.gathering import Gathering, announced_body, gathering, of_no_group
from jobs.errors import EnqueueError, InvalidArguments
from jobs.tasks.encryption import with_encrypted_signatures


def signature_json(what: str, signature: Any, group_id: str = "") -> dict[str, Any]:
    """Return a signature as a row keeps it; `group_id` is that of the group whose body it is.

    Raises:
        InvalidArguments: it cannot be written as JSON.
    """
    try:
        text = encode(signature)
    except RecursionError:
        raise InvalidArguments(f"{what} contains itself; a canvas must come to an end.") from None
    except (TypeError, ValueError) as exc:
        raise InvalidArguments(f"{what} cannot be written as JSON: {exc}.") from None
    if why := why_not_storable(text):
        raise InvalidArguments(f"{what} holds {why}.")
    found: dict[str, Any] = with_encrypted_signatures(json.loads(text))
    return shortened(found, group_id)


def install() -> None:
    """Have Celery's groups and chords write their jobs together. Called once, when Django is ready."""
    if not hasattr(group.apply_async, "__wrapped__"):
        group.apply_async = _group_apply(group.apply_async)
        _chain.apply_async = _chain_apply(_chain.apply_async)
        _chord.apply_async = _chord_apply(_chord.apply_async)
        _chord.run = _chord_run(_chord.run)


def _writes_jobs(app: Celery) -> bool:
    return isinstance(app.backend, LedgerBackend) and not app.conf.task_always_eager


def _group_apply(apply_async: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(apply_async)
    def apply(self: group, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        _check_signatures("The group", self.tasks)
        with _ends("The group"):
            if not _writes_jobs(self.app) or not self.tasks:
                return apply_async(self, args, kwargs, **options)
            group_id = options.setdefault("task_id", self.options.get("task_id") or new_id())
            with transaction.atomic(), gathering(_group_of(group_id)) as members:
                result = apply_async(self, args, kwargs, **options)
                _check(members)
                write_group(members)
            return result

    return apply


def _chain_apply(apply_async: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(apply_async)
    def apply(self: _chain, *args: Any, **options: Any) -> Any:
        with _ends("The chain"):
            return apply_async(self, *args, **options)

    return apply


def _chord_apply(apply_async: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(apply_async)
    def apply(self: _chord, args: Any = None, kwargs: Any = None, *more: Any, **options: Any) -> Any:
        body = (kwargs or {}).get("body") or self.kwargs.get("body")
        if not isinstance(body, Mapping):
            raise InvalidArguments(f"The body of the chord is {body!r:.200}: it must be a signature, task.s(…).")
        if not isinstance(self.tasks, group):
            _check_signatures("The header of the chord", self.tasks)
        with _ends("The chord"):
            return apply_async(self, args, kwargs, *more, **options)

    return apply


def _check_signatures(what: str, tasks: Any) -> None:
    """Raise InvalidArguments where one is none. A generator is read later, when its group is enqueued."""
    for task in tasks if isinstance(tasks, (list, tuple)) else ():
        if not (isinstance(task, Mapping) and isinstance(task.get("task"), str)):
            raise InvalidArguments(f"{what} has {task!r:.200} among its tasks: each must be a signature, task.s(…).")


def _chord_run(run: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(run)
    def in_one(self: _chord, header: group, body: Any, *args: Any, **options: Any) -> Any:
        app = options.get("app") or self._get_app(body)
        with _ends("The chord"):
            if not _writes_jobs(app):
                return run(self, header, body, *args, **options)
            if _is_empty(header):
                with of_no_group(header.options.setdefault("task_id", new_id())):
                    return run(self, header, body, *args, **options)
            with transaction.atomic():
                return run(self, header, body, *args, **options)

    return in_one


def _is_empty(header: group) -> bool:
    """Return whether a chord's header comes to nothing: Celery leaves out empty chains, and unrolls groups."""
    return all(
        _is_empty(task) if isinstance(task, group) else isinstance(task, _chain) and not task.tasks
        for task in header.tasks
    )


def _group_of(group_id: str) -> Gathering:
    """Return the group that is to be enqueued: a chord's header where the chord has just said so."""
    announced = announced_body(group_id)
    if announced is None:
        return Gathering(ledger_id(group_id))
    body = signature_json("The body of the chord", announced, group_id)
    task_id = body["options"].get("task_id")
    body_id = ledger_id(str(task_id)) if task_id else None
    return Gathering(ledger_id(group_id), body=body, body_id=body_id, outer=place_of_result(body))


def _check(members: Gathering) -> None:
    """Raise EnqueueError where some of a chord's header are no jobs: nobody would count them."""
    if members.body is not None and members.size is not None and members.ways < members.size:
        raise EnqueueError(
            f"The header of the chord has {members.size:,} tasks, of which {members.size - members.ways:,} are no jobs:"
            " the ledger cannot count plain Celery tasks. Declare them with @job."
        )


@contextmanager
def _ends(what: str) -> Any:
    """Say of a canvas that contains itself what is wrong with it."""
    try:
        yield
    except RecursionError:
        _refuse(what)
    except RuntimeError as exc:
        if "Recursive result parents" not in str(exc):
            raise
        _refuse(what)


def _refuse(what: str) -> NoReturn:
    raise InvalidArguments(f"{what} contains itself; a canvas must come to an end.") from None


def callbacks_of(given: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the callbacks of a group as its row keeps them; None for none."""
    found = {name: signature_json(f"{name}=", signature) for name, signature in given.items() if signature is not None}
    return found or None
