"""The engine's settings and their defaults. Each is read from Django's settings under the name given here."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from jobs.core.limits import Limit
from jobs.core.queue_names import RULE, is_queue_name
from jobs.core.turns import LEAST, MOST


@dataclass(frozen=True, slots=True)
class JobsConf:
    """What the engine can be told, as `JOBS_<NAME IN CAPITALS>`; durations in seconds.

    Attributes:
        lease_seconds: how long a claimed job belongs to its worker without a renewal.
        lease_renew_seconds: how often a worker renews the leases of all its running jobs.
        housekeeping_seconds: how often a worker looks for what is due.
        resend_seconds: how long a dispatched job may wait unclaimed before its message is suspected lost.
        max_worker_losses: a job whose worker died this often is poison.
        max_message_bytes: the largest message body that is accepted at enqueue.
        max_result_bytes: the largest result that is kept of a job, as JSON.
        shutdown_seconds: how long a stopping worker lets running jobs finish before it hands them back.
        deploy_grace: how long a job may wait for a worker with newer code before it gives up.
        retention_seconds: how long a job that succeeded or was cancelled is kept, where its task says nothing else.
        dead_retention_seconds: how long a dead job and its letter are kept.
        history_seconds: how long it is kept which schedules fired, what operators did, which API tokens ended.
        api_requests_per_minute: how many requests of one token, or one person, the API answers in a minute.
        streams_per_token: how many live streams of one token a web process holds open at a time.
        streams_per_person: how many of one person, who has some open pages.
        streams_per_process: how many it holds open altogether.
    """

    lease_seconds: float = 30
    lease_renew_seconds: float = 10
    housekeeping_seconds: float = 1
    resend_seconds: float = 30
    max_worker_losses: int = 3
    max_message_bytes: int = 256 * 1024
    max_result_bytes: int = 1024 * 1024
    shutdown_seconds: float = 25
    deploy_grace: float = 3600
    retention_seconds: float = 7 * 86_400
    dead_retention_seconds: float = 14 * 86_400
    history_seconds: float = 90 * 86_400
    api_requests_per_minute: int = 1200
    streams_per_token: int = 600
    streams_per_person: int = 50
    streams_per_process: int = 800

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
                raise ImproperlyConfigured(
                    f"JOBS_{field.name.upper()}={value!r} is not valid: it must be a number above zero."
                )
        if self.lease_renew_seconds * 2 > self.lease_seconds:
            raise ImproperlyConfigured(
                f"JOBS_LEASE_RENEW_SECONDS={self.lease_renew_seconds!r} is not valid: it must be at most half of "
                f"JOBS_LEASE_SECONDS ({self.lease_seconds!r}), so that one missed renewal loses no lease."
            )


@cache
def conf() -> JobsConf:
    """Return the engine's settings. Raises ImproperlyConfigured for a value it cannot use."""
    given = {
        field.name: getattr(settings, name)
        for field in fields(JobsConf)
        if hasattr(settings, name := f"JOBS_{field.name.upper()}")
    }
    return JobsConf(**given)


def queue_limits() -> Mapping[str, Limit]:
    """Return the limits of queues (`JOBS_LIMITS`). Raises ImproperlyConfigured for what is none."""
    said = _by_queue("JOBS_LIMITS")
    found = {}
    for queue, figures in said.items():
        try:
            if not is_queue_name(queue):
                raise ValueError(f"{queue!r} is no queue's name: it must be {RULE}")
            found[queue] = Limit.read(figures)
        except (TypeError, ValueError) as exc:
            raise ImproperlyConfigured(f"JOBS_LIMITS={queue}={figures} is not valid: {exc}.") from None
    return found


def queue_weights() -> Mapping[str, float]:
    """Return the weights of a worker's queues (`JOBS_QUEUE_WEIGHTS`); one that is not there weighs 1.

    Raises:
        ImproperlyConfigured: one is no weight, or no queue can be called so.
    """
    weights = _by_queue("JOBS_QUEUE_WEIGHTS")
    for queue, weight in weights.items():
        if not is_queue_name(queue):
            raise ImproperlyConfigured(
                f"JOBS_QUEUE_WEIGHTS names a queue {queue!r}, which is not valid: it must be {RULE}."
            )
        # A bool is an int to Python; NaN is in no range.
        if type(weight) not in {int, float} or not LEAST <= weight <= MOST:
            raise ImproperlyConfigured(
                f"JOBS_QUEUE_WEIGHTS={queue}={weight} is not valid: it must be a number from {LEAST:g} to {MOST:g}."
            )
    return weights


def _by_queue(name: str) -> Mapping[Any, Any]:
    """Return a setting that says something of queues by their names. Raises ImproperlyConfigured where it does not."""
    said = getattr(settings, name, {})
    if not isinstance(said, Mapping):
        raise ImproperlyConfigured(f"{name}={said!r} is not valid: it must be a mapping by the names of queues.")
    return said


def encryption_keys() -> tuple[str, ...]:
    """Return the keys of what tasks encrypt (`JOBS_ENCRYPTION_KEYS`), each as Fernet takes it; the first writes."""
    return tuple(getattr(settings, "JOBS_ENCRYPTION_KEYS", ()))


def brokers() -> Mapping[str, str]:
    """Return the URLs of the brokers that carry single queues (`JOBS_BROKERS`); the default broker carries the others.

    Raises:
        ImproperlyConfigured: a queue cannot have the name it is given, or one of the brokers is `ledger://`.
    """
    urls: Mapping[str, str] = getattr(settings, "JOBS_BROKERS", {})
    for queue in urls:
        if not is_queue_name(queue):
            raise ImproperlyConfigured(f"JOBS_BROKERS names a queue {queue!r}, which is not valid: it must be {RULE}.")
    if urls and any(url.startswith("ledger://") for url in (settings.CELERY_BROKER_URL, *urls.values())):
        raise ImproperlyConfigured(
            "JOBS_BROKERS is not valid: with ledger:// a waiting row is its own message, whatever its queue. It carries"
            " all queues or none: leave JOBS_BROKERS empty, or let BROKER_URL and each of its URLs name a broker."
        )
    return urls
