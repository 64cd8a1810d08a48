"""Groups of any number of jobs, and what is to follow them: `new_group`, for what Celery has no words for."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import current_app
from celery.canvas import Signature
from celery.result import AsyncResult, GroupResult
from celery.utils import uuid as new_id
from django.db import transaction

from jobs.compose.canvas import callbacks_of, signature_json
from jobs.compose.followers import is_plain
from jobs.core.job_ids import ledger_id
from jobs.core.places import place_of_result
from jobs.enqueue.enqueuer import write_group
from jobs.enqueue.gathering import Gathering, gathering
from jobs.errors import InvalidOption


class NewGroup:
    """A group in the making: a job enqueued with `group_id=group.id` is a member.

    Attributes:
        id: of the group, as text.
        body: the result of the body; None for no body.
    """

    def __init__(self, members: Gathering, body: AsyncResult | None) -> None:
        self._members, self.body = members, body
        self.id = str(members.group_id)

    def __len__(self) -> int:
        return self._members.ways

    @property
    def result(self) -> GroupResult:
        """The results of its members, in their order."""
        ids = self._members.member_ids
        results = [current_app.AsyncResult(str(job_id)) for job_id in ids]
        return current_app.GroupResult(self.id, results)


@contextmanager
def new_group(
    body: Signature | None = None,
    *,
    on_success: Signature | None = None,
    on_dead: Signature | None = None,
    on_progress: Signature | None = None,
) -> Iterator[NewGroup]:
    """Enqueue a group: its jobs are written together, when the block ends and in one transaction.

        with new_group(report.s(), on_dead=alarm.s()) as group:
            resize.delay_many(calls, group_id=group.id)

    Each signature is enqueued in the transaction that records what it waits for, once. Where the block has made no
    members, body and `on_success` are enqueued at once.

    Args:
        body: is called with all results, in order, when all members have succeeded. Their results are kept for it;
            an immutable one (`.si()`) gets none, and none are kept.
        on_success: is called with the group's id when all members have succeeded.
        on_dead: is called with the group's id each time that all members have ended, and some are dead or cancelled.
        on_progress: is called with the group's id for each tenth of the members that has ended.

    Raises:
        EnqueueError: one of the jobs is refused, or a signature is none that the ledger can keep; nothing is written.
    """
    callbacks = {"on_success": on_success, "on_dead": on_dead, "on_progress": on_progress}
    for name, signature in {"body": body, **callbacks}.items():
        _check(name, signature)
    group_id = new_id()
    result = None if body is None else body.freeze()
    kept = None if body is None else signature_json("body=", body)
    members = Gathering(
        uuid.UUID(group_id),
        body=kept,
        body_id=None if result is None else ledger_id(str(result.id)),
        callbacks=callbacks_of(callbacks),
        outer=None if kept is None else place_of_result(kept),
    )
    with transaction.atomic():
        with gathering(members):
            yield NewGroup(members, result)
        write_group(members)
        if not members.ways:
            _follow_nothing(group_id, body, on_success)


def _follow_nothing(group_id: str, body: Signature | None, on_success: Signature | None) -> None:
    """Enqueue what follows a group without members, as Celery does with the body of an empty chord."""
    if body is not None:
        body.apply_async(([],))
    if on_success is not None:
        on_success.apply_async((group_id,))


def _check(name: str, signature: Any) -> None:
    if signature is None:
        return
    if not isinstance(signature, Signature):
        raise InvalidOption(f"new_group: {name}={signature!r:.200} is not valid: it must be a signature, task.s(…).")
    if is_plain(signature, current_app):
        raise InvalidOption(f"new_group: {name}={signature!r:.200} is not valid: its task must be declared with @job.")
