"""A Celery task whose every call is a row of the ledger; `jobs.tasks.declare` makes them."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Unpack, cast

from jobs.errors import InvalidOption
from jobs.ledger.enqueue import Written
from jobs.tasks.batch import Batch, Item, item_type
from jobs.tasks.calls import JobResult, arguments_of, message_of, plain_arguments
from jobs.tasks.coroutines import finished
from jobs.tasks.encryption import arguments_of as arguments_given, is_encrypted
from jobs.tasks.enqueuer import Enqueuer
from jobs.tasks.options import options_of
from jobs.tasks.running import RunningTask
from jobs.tasks.typed import CallOptions, ManyOptions, P, R_co, TypedCalls


class JobTask(TypedCalls[P, R_co], RunningTask):
    """A Celery task whose calls are written to the ledger before anything is sent, and which runs under a lease.

    Type checkers know its calls: `P` are the parameters of its function, `R_co` is what that returns.
    """

    abstract = True
    #: Writes the jobs; set when Django is ready.
    enqueuer: ClassVar[Enqueuer]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Run the body: plainly when called as a function, or eagerly. A worker calls it otherwise (`jobs.worker`)."""
        if is_encrypted(kwargs):
            # An error link that is called in place.
            found_args, found_kwargs = arguments_given(args, kwargs)
            return self(*found_args, **found_kwargs)
        if self.request.is_eager and not self.request.called_directly:
            return cast("R_co", self._run_eagerly(args, kwargs))
        return cast("R_co", super().__call__(*args, **kwargs))

    def _run_eagerly(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run the body at once, for tests with CELERY_TASK_ALWAYS_EAGER: there is neither a row nor a lease."""
        if not self.batch:
            return finished(super().__call__(*args, **kwargs))
        item = Item(item_type(self.run)(*args, **kwargs), uuid.UUID(self.request.id))
        result = finished(super().__call__(Batch([item])))
        if item.error is not None:
            raise item.error
        return result

    def apply_async(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        task_id: str | None = None,
        producer: Any = None,
        link: Any = None,
        link_error: Any = None,
        shadow: str | None = None,
        **options: Unpack[CallOptions],
    ) -> JobResult:
        """Write a job in the caller's transaction; it is dispatched when that commits.

        Takes Celery's options that have a meaning for a job: `countdown`, `eta`, `expires`, `deadline`, `queue`,
        `priority`, `headers`, `link`, `link_error`, `max_retries`, `shadow`, `time_limit`, `soft_time_limit`, `task_id`
        (a UUID), `unique`, `until`, `within`, `replace`, `max_delay`, and those that canvas passes. Options about
        sending (`producer`, `connection`, `retry`, …) have none, since nothing is sent here; one that nobody knows is
        an error.

        With CELERY_TASK_ALWAYS_EAGER the task runs at once, without a row, and the result is Celery's `EagerResult`.

        Raises:
            jobs.errors.EnqueueError: an argument or option is not valid; nothing was written.
        """
        args, kwargs = self._plain_arguments(args, kwargs)
        message = message_of(options, link=link, link_error=link_error) | {"shadow": shadow}
        chosen = options_of(self, options, task_id, message)
        if self.app.conf["task_always_eager"]:
            self.check_arguments(args, kwargs)
            return cast(
                "JobResult",
                super().apply_async(args, kwargs, task_id, producer, link, link_error, shadow, **options),
            )
        return self._result(self.enqueuer.enqueue(self, args, kwargs, chosen))

    def delay_many(
        self, calls: Iterable[Mapping[str, Any] | Sequence[Any]], **options: Unpack[ManyOptions]
    ) -> list[JobResult]:
        """Write many jobs in one insert and publish them together on commit: all of them or none.

        Args:
            calls: for each job its keyword arguments as a mapping, or its positional ones as a sequence.
            options: as for `apply_async`, the same for all.

        Returns:
            One result for each call, in order.

        Raises:
            jobs.errors.EnqueueError: naming the first job at fault; nothing was written.
        """
        arguments = [self._plain_arguments(*arguments_of(index, call)) for index, call in enumerate(calls)]
        message = message_of(options, link=options.get("link"), link_error=options.get("link_error"))
        given: Mapping[str, Any] = options
        if given.get("task_id") is not None:
            raise InvalidOption(f"{self.name}: task_id={given['task_id']!r} cannot be the id of many jobs.")
        chosen = options_of(self, options, None, message)
        if self.app.conf["task_always_eager"]:
            return [self.apply_async(args, kwargs, **options) for args, kwargs in arguments]
        return [self._result(written) for written in self.enqueuer.enqueue_many(self, arguments, chosen)]

    def _result(self, written: Written) -> JobResult:
        result = JobResult(str(written.id), app=self.app)
        result.is_new = written.is_new
        return result

    def _plain_arguments(
        self, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        # A signature that was kept for later brings them encrypted.
        plain = plain_arguments(self.name, *arguments_given(*plain_arguments(self.name, args, kwargs)))
        if self._dump_pydantic_arguments is None:
            return plain
        self.check_arguments(*plain)
        return self._dump_pydantic_arguments(*plain)
