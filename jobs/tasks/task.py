"""A Celery task whose every call is a row of the ledger; `jobs.tasks.declare` makes them."""

import uuid
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Unpack, cast

from celery.exceptions import CDeprecationWarning

from jobs.conf import brokers
from jobs.core.priority import on_the_wire
from jobs.core.queue_names import RULE, is_queue_name
from jobs.core.retry import RetryPolicy
from jobs.core.unique_rule import UniqueRule
from jobs.errors import InvalidOption
from jobs.ledger.enqueue import Written
from jobs.tasks.aliases import register
from jobs.tasks.batch import Batch, Item, item_type
from jobs.tasks.calls import JobResult, arguments_of, message_of, plain_arguments
from jobs.tasks.coroutines import finished
from jobs.tasks.encryption import arguments_of as arguments_given, is_encrypted
from jobs.tasks.enqueuer import Enqueuer
from jobs.tasks.keys import Key
from jobs.tasks.options import options_of, route_of
from jobs.tasks.running import RunningTask
from jobs.tasks.signature import TaskSignature
from jobs.tasks.typed import CallOptions, ManyOptions, P, R_co, TypedCalls


class JobTask(TypedCalls[P, R_co], RunningTask):
    """A Celery task whose calls are written to the ledger before anything is sent, and which runs under a lease.

    Type checkers know its calls: `P` are the parameters of its function, `R_co` is what that returns.
    """

    abstract = True
    #: Writes the jobs; set when Django is ready.
    enqueuer: ClassVar[Enqueuer]
    #: How a worker takes messages of this task: as hints that jobs are due.
    Strategy = "jobs.worker.adopt:job_strategy"

    queue = "default"
    priority = 5
    max_retries: int | None = 5
    autoretry_for: tuple[type[BaseException], ...] = (Exception,)
    dont_autoretry_for: tuple[type[BaseException], ...] = ()
    retry_backoff: float | bool = 1
    retry_backoff_factor: float = 2
    retry_backoff_max: float = 16
    retry_jitter: float | bool = 0.1
    default_retry_delay = 1
    time_limit = 30
    expires: float | None = None
    deadline: float | None = None
    unique: str | bool | tuple[str, ...] = False
    unique_rule = UniqueRule()
    breaker: str | None = None
    batch = 0
    batch_wait: float = 0
    rate_limit: str | float | None = None
    burst = 1
    concurrency: int | None = None
    key: Key | None = None
    tenant: Key | None = None
    redact: tuple[str, ...] | bool = ()
    encrypt = False
    public = False
    public_rate: str | None = None
    retention: float | None = None
    aliases: Sequence[str] = ()
    version = 1
    upgrade: Mapping[int, Callable[..., Mapping[str, Any]]] = {}

    # The ledger does what these would do, for every way a worker can end, and on every broker.
    acks_late = False
    reject_on_worker_lost = False
    ignore_result = True
    store_errors_even_if_ignored = False

    # Celery wraps `run` in its own automatic retry unless it finds it wrapped already; ours is in `core.outcome`.
    _orig_run = None
    _dump_pydantic_arguments: Callable[..., tuple[tuple[Any, ...], dict[str, Any]]] | None

    @classmethod
    def bind(cls, app: Any) -> Any:
        """Bind the task to an application, as Celery's tasks are."""
        with warnings.catch_warnings():
            # Celery will take no heed of a task's own queue and priority any more, and says so; we do.
            warnings.simplefilter("ignore", CDeprecationWarning)
            return super().bind(app)

    @classmethod
    def on_bound(cls, app: Any) -> None:
        """Make the task's queue known to the worker: naming it in `@job` is all that a queue needs. So its aliases."""
        queues = app.amqp.queues
        for name in {cls.queue, cls._routed_queue()}:
            if name is not None and not is_queue_name(name):
                raise InvalidOption(f"{cls.name}: queue={name!r} is not valid: it must be {RULE}.")
            if name is not None and name not in queues:
                # All tasks are bound before the worker's `-Q` selects among the queues.
                queues.select_add(queues.new_missing(name))
        register(app._tasks, cls.name, cls.aliases)  # noqa: SLF001 (`app.tasks` would bind all tasks first)
        if cls.redact:
            # What a task returns may be made of what it hides: Celery's log and events show nothing of it.
            cls.resultrepr_maxsize = 0

    @classmethod
    def _routed_queue(cls) -> str | None:
        """Return the queue that CELERY_TASK_ROUTES names for every call of the task, where it does."""
        try:
            queue: str | None = route_of(cls, (), {}).get("queue")
        except Exception:  # noqa: BLE001 (a route that needs arguments is asked at the call, and says there what is wrong)
            return None
        return queue

    @classmethod
    def names(cls, option: str) -> bool:
        """Return whether the task's declaration says this option itself."""
        return option in vars(cls)

    def _get_exec_options(self) -> dict[str, Any]:
        """Return what Celery puts into a message of this task where it writes no row, as `app.send_task` does."""
        driver = self.app.connection_for_write(brokers().get(self.queue)).transport.driver_type
        return {**super()._get_exec_options(), "priority": on_the_wire(self.priority, driver)}

    @cached_property
    def policy(self) -> RetryPolicy:
        """How often and how soon this task's jobs are tried again."""
        return RetryPolicy(
            max_retries=self.max_retries,
            backoff=float(self.retry_backoff),
            backoff_factor=self.retry_backoff_factor,
            backoff_max=self.retry_backoff_max,
            jitter=self.retry_jitter,
            default_delay=self.default_retry_delay,
            autoretry_for=tuple(self.autoretry_for),
            dont_autoretry_for=tuple(self.dont_autoretry_for),
        )

    @cached_property
    def takes(self) -> TaskSignature:
        """What the task takes."""
        called = item_type(self.run) if self.batch else self.run
        return TaskSignature(self.name, called, None if self._dump_pydantic_arguments is None else self.run)

    def named_arguments(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of a call by their names, defaults included. Raises InvalidArguments as the check."""
        return self.takes.named(args, kwargs)

    def check_arguments(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Raise InvalidArguments where the task could not be called with these."""
        self.takes.check(args, kwargs)

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
