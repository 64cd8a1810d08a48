"""Celery's `GroupResult`, which asks the ledger for all of its members at once."""

import time
from collections.abc import Callable
from typing import Any

from celery.result import AsyncResult, GroupResult, ResultBase, assert_will_not_block

from jobs.compose.backend import UNKNOWN_SECONDS, LedgerBackend
from jobs.compose.ends import Pauses, check_timeout
from jobs.core.job_ids import ledger_id


class JobGroupResult(GroupResult):
    """The results of a group. Celery's own asks for each of them, every time that it looks."""

    def ready(self) -> bool:
        """Return whether all members have ended."""
        return not self._look()[0]

    def waiting(self) -> bool:
        """Return whether a member has not ended."""
        return not self.ready()

    def successful(self) -> bool:
        """Return whether all members have succeeded."""
        return self.ready() and all(result.successful() for result in self.results)

    def failed(self) -> bool:
        """Return whether a member has failed."""
        return any(result.failed() for result in self._ended())

    def completed_count(self) -> int:
        """Return how many members have succeeded."""
        return sum(bool(result.successful()) for result in self._ended())

    def maybe_throw(self, callback: Callable[..., object] | None = None, propagate: bool = True) -> None:
        """Raise the error of the first member that has failed."""
        for result in self._ended():
            result.maybe_throw(callback=callback, propagate=propagate)

    maybe_reraise = maybe_throw

    def join(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = 0.5,
        callback: Callable[..., object] | None = None,
        no_ack: bool = True,
        on_message: Callable[..., object] | None = None,
        disable_sync_subtasks: bool = True,
        on_interval: Callable[[], object] | None = None,
    ) -> Any:
        """Wait until all members have ended, and return what they returned, in order; as Celery's `join`.

        Raises:
            celery.exceptions.TimeoutError: they have not ended in `timeout` seconds.
            ValueError: the timeout is none.
        """
        check_timeout(timeout)
        if disable_sync_subtasks:
            assert_will_not_block()
        began_at = time.monotonic()
        with Pauses(interval) as pauses:
            self._wait(timeout, pauses, on_interval, propagate=propagate)
        return super().join(
            timeout=None if timeout is None else max(0.0, began_at + timeout - time.monotonic()),
            propagate=propagate,
            interval=interval,
            callback=callback,
            no_ack=no_ack,
            on_message=on_message,
            disable_sync_subtasks=disable_sync_subtasks,
            on_interval=on_interval,
        )

    def _wait(
        self, timeout: float | None, pauses: Pauses, on_interval: Callable[[], object] | None, *, propagate: bool
    ) -> None:
        """Wait until all members have ended, the time is over, or nobody knows what has not ended."""
        began_at = known_at = time.monotonic()
        while True:
            unready, known = self._look()
            now = time.monotonic()
            known_at = now if known else known_at
            left = float("inf") if timeout is None else timeout - (now - began_at)
            if not unready or left <= 0 or now - known_at >= UNKNOWN_SECONDS:
                return
            if propagate:
                self._throw_before(unready)
                if not known:
                    self._throw_of_parents()
            if on_interval:
                on_interval()
            # All have to end: one of them is worth a look, and the last one is most likely the last to end.
            last = next(result.id for result in reversed(self.results) if result.id in unready)
            pauses.pause(left, ledger_id(last))

    def _throw_before(self, unready: set[str]) -> None:
        """Raise the error of the first member that has failed, if all before it have ended."""
        for result in self.results:
            if result.id in unready:
                return
            result.maybe_throw()

    def _throw_of_parents(self) -> None:
        """Raise the error of what came before, by which this group was never enqueued: it is the body of a chord."""
        node = self.parent
        while node is not None:
            node.maybe_throw()
            node = node.parent

    def _ended(self) -> list[ResultBase]:
        unready, _ = self._look()
        return [result for result in self.results if result.id not in unready or not isinstance(result, AsyncResult)]

    def _look(self) -> tuple[set[str], bool]:
        """Learn what has ended since the last look.

        Returns:
            The ids of the members that have not, and whether somebody knows one of these.
        """
        backend = self.backend
        asked = {result.id: result for result in self.results if not _is_cached(result)}
        found = backend.metas(asked) if isinstance(backend, LedgerBackend) else {}
        for task_id, meta in found.items():
            if meta is not None:
                asked.pop(task_id)._maybe_set_cache(meta)  # noqa: SLF001 (where results keep what they know)
        known = {task_id for task_id in asked if task_id in found}
        unready = known | {task_id for task_id, result in asked.items() if task_id not in known and not result.ready()}
        return unready, bool(known)


def _is_cached(result: ResultBase) -> bool:
    return isinstance(result, AsyncResult) and result._cache is not None  # noqa: SLF001
