"""What the body of a task may ask of the task while its job runs: another attempt, or something in the job's place."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from celery.exceptions import MaxRetriesExceededError, Retry

from jobs.errors import InvalidOption, Permanent
from jobs.tasks.declared import DeclaredTask
from jobs.tasks.replacing import Replaced, replacement_of
from jobs.tasks.times import moment, seconds


class RetryCall(Retry):
    """What `self.retry()` raises: the request to be tried again, with the limits given there."""

    def __init__(self, exc: BaseException | None, delay: float | None, max_retries: int | None) -> None:
        super().__init__(exc=exc, when=delay)
        self.delay = delay
        self.max_retries = max_retries


class RunningTask(DeclaredTask):
    """A task as its body knows it: `self`, where it is bound."""

    abstract = True

    def retry(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        exc: BaseException | None = None,
        throw: bool = True,
        eta: datetime | None = None,
        countdown: float | None = None,
        max_retries: int | None = None,
        **options: Any,
    ) -> Retry:
        """Ask for another attempt, as in Celery: `raise self.retry(exc=exc, countdown=5)`.

        Without `countdown` or `eta` the delay is that of the task's back-off.

        Raises:
            Retry: always, unless `throw` is false; then it is returned, to be raised by the caller.
            InvalidOption: for a time that is none, and for other arguments or options, which a job keeps over all
                its attempts.
        """
        if args is not None or kwargs is not None or options:
            raise InvalidOption(
                f"{self.name}: retry() cannot change a job's arguments or options "
                f"({', '.join(sorted(options)) or 'args, kwargs'}); enqueue another job instead."
            )
        if exc is not None and not isinstance(exc, BaseException):
            raise InvalidOption(f"{self.name}: retry() was given exc={exc!r:.200}: it must be an exception.")
        if max_retries is not None and not (type(max_retries) is int and max_retries >= 0):
            raise InvalidOption(
                f"{self.name}: max_retries={max_retries!r} is not valid: it must be a whole number, zero or more."
            )
        if self.request.called_directly:
            raise exc if exc is not None else MaxRetriesExceededError(f"{self.name} was called directly.")
        call = RetryCall(exc, self._retry_delay(eta, countdown), max_retries)
        if throw:
            raise call from exc
        return call

    def _retry_delay(self, eta: datetime | None, countdown: float | None) -> float | None:
        if eta is not None and countdown is not None:
            raise InvalidOption(
                f"{self.name}: countdown={countdown!r} and eta={eta!r} exclude each other; give retry() one."
            )
        if eta is not None:
            return max(0.0, moment(self, "eta", eta).timestamp() - self._database_time())
        return None if countdown is None else seconds(self, "countdown", countdown)

    def _database_time(self) -> float:
        """Return what the database's clock shows, in seconds since 1970: that of this machine may be wrong."""
        clock = self.request.get("job_clock")
        # Of what runs eagerly nobody has asked the database.
        return time.time() if clock is None else clock + time.monotonic()

    def replace(self, sig: Any) -> Any:
        """Put a signature into the place of the job that runs, as in Celery: `raise self.replace(other.s(1))`.

        It is enqueued with the record of the attempt's end, once, and gets what followed the job, and its place in a
        chord. The job has succeeded then; its result, as `AsyncResult` tells it, is that of the signature.

        Raises:
            Replaced: always, but where the task runs eagerly.
            ImproperlyConfigured: the signature belongs to a chord already, or is an empty chain.
            Permanent: it is no signature, or the task takes batches; each job of a batch would have to be replaced on
                its own.
        """
        if not isinstance(sig, Mapping):
            raise Permanent(f"{self.name}: replace() was given {sig!r:.200}: it must be a signature, task.s(…).")
        if self.request.is_eager or self.request.called_directly:
            return super().replace(sig)
        if self.batch:
            raise Permanent(f"{self.name}: a task that takes batches cannot replace its jobs; enqueue others instead.")
        signature, self.request.replaced_by = replacement_of(self, sig)
        return self.on_replace(signature)

    def on_replace(self, sig: Any) -> Any:
        """Called with the signature that is about to take the job's place; overrides must call this one."""
        if self.request.is_eager or self.request.called_directly:
            return super().on_replace(sig)
        raise Replaced(sig, self.request.replaced_by)

    def add_to_chord(self, sig: Any, lazy: bool = False) -> Any:
        """Add a signature to the chord that the job is a member of; its body waits for that as well.

        It is enqueued with the record of the attempt's success, once; with `lazy`, when the caller calls it.

        Raises:
            ValueError: the job is no member of a chord.
        """
        request = self.request
        if not request.chord:
            raise ValueError("Current task is not member of any chord")
        sig.set(group_id=request.group, group_index=request.group_index, chord=request.chord, root_id=request.root_id)
        result = sig.freeze()
        if lazy:
            return sig
        request.added_to_chord.append(sig)
        return result
