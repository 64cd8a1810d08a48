"""A task as its `@job` declares it: what it says of its jobs, what it takes, and what Celery is told of that."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from celery import Task
from celery.exceptions import CDeprecationWarning

from jobs.conf import brokers
from jobs.core.priority import on_the_wire
from jobs.core.queue_names import RULE, is_queue_name
from jobs.core.retry import RetryPolicy
from jobs.core.unique_rule import UniqueRule
from jobs.errors import InvalidOption
from jobs.tasks.aliases import register
from jobs.tasks.batch import item_type
from jobs.tasks.keys import Key
from jobs.tasks.routes import route_of
from jobs.tasks.signature import TaskSignature


class DeclaredTask(Task):
    """A Celery task with the options of `@job` and their defaults; `jobs.tasks.declare` says what each can be."""

    abstract = True
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
    time_limit: float | None = 30
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

    @classmethod
    def bind(cls, app: Any) -> Any:
        """Bind the task to an application, as Celery's tasks are."""
        with warnings.catch_warnings():
            # Celery will take no heed of a task's own queue and priority any more, and says so; we do.
            warnings.simplefilter("ignore", CDeprecationWarning)
            return super().bind(app)

    @classmethod
    def on_bound(cls, app: Any) -> None:
        """Make the task's queue known to the worker: naming it in `@job` is all that a queue needs. So its aliases.

        Raises:
            InvalidOption: a queue has a name that no broker takes.
        """
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
