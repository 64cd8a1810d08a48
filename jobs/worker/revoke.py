"""Celery's own `revoke` and `terminate`, as Flower and `celery control` send them, written into the ledger.

Every worker hears them, and what the ledger says holds wherever the job is: in a queue, in a worker, or waiting for
its time with no message at all. Celery's lists of revoked ids are kept too, for plain tasks.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from celery.utils.functional import maybe_list
from celery.worker import control, state as worker_state
from celery.worker.control import control_command

from jobs.compose import groups
from jobs.core.job_ids import ledger_id
from jobs.ledger import operate
from jobs.worker.pending_writes import pending_writes


@dataclass(frozen=True, slots=True)
class Revoked:
    """Jobs that somebody revoked, by their Celery ids.

    Attributes:
        terminate: whether those that run are to be ended as well.
        consumer: the worker's.
    """

    task_ids: Collection[str]
    terminate: bool
    consumer: Any

    def write(self) -> None:
        """Cancel what has not begun, and ask the workers of what runs to end it. Who changes a row says so."""
        for task_id in self.task_ids:
            job_id = ledger_id(task_id)
            if groups.cancel([job_id], operate.REVOKED):
                self._tell(task_id)
            elif self.terminate:
                operate.ask_to_cancel([job_id])
            else:
                self.consumer.engine.endings.recall(job_id)

    def _tell(self, task_id: str) -> None:
        events = self.consumer.event_dispatcher
        if events is not None and events.enabled:
            events.send("task-revoked", uuid=task_id, terminated=False, signum=None, expired=False)


def is_revoked_by_stamp(headers: Mapping[str, Any]) -> bool:
    """Return whether somebody has revoked all that carries one of these stamps. By Celery's own rule."""
    stamps = headers.get("stamps") or {}
    for name, revoked in list(worker_state.revoked_stamps.items()):
        given = stamps.get(name)
        values = given if isinstance(given, (list, tuple)) else [given]
        if given is not None and any(value in maybe_list(revoked) for value in values):
            return True
    return False


@control_command(variadic="task_id", signature="[id1 [id2 [... [idN]]]]")  # type: ignore[untyped-decorator]
def revoke(state: Any, task_id: Any, terminate: bool = False, signal: Any = None, **options: Any) -> Any:
    """Revoke task by task id (or list of ids)."""
    ids = [str(one) for one in maybe_list(task_id) or []]
    pending_writes.put(Revoked(ids, terminate=terminate, consumer=state.consumer))
    return control.revoke(state, task_id, terminate, signal, **options)


@control_command(variadic="task_id", args=[("signal", str)], signature="<signal> [id1 [id2 [... [idN]]]]")  # type: ignore[untyped-decorator]
def terminate(state: Any, signal: Any, task_id: Any, **_: Any) -> Any:
    """Terminate task by task id (or list of ids)."""
    return revoke(state, task_id, terminate=True, signal=signal)
