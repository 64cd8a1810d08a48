"""Which broker carries which queue: the one that JOBS_BROKERS names for it, else the default."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from celery import Celery
from kombu.utils.url import sanitize_url

from jobs.conf import brokers
from jobs.core.queue_names import DEAD
from jobs.enqueue.message import HasMessage, Outgoing

M = TypeVar("M", HasMessage, Outgoing)


class TwoBrokers(Exception):
    """Raised where a worker shall consume queues of more than one broker."""


def url_of(app: Celery, queue: str) -> str:
    """Return the URL of the broker that carries a queue; its dead-letter queue lies beside it."""
    return own_url_of(queue) or default_url(app)


def own_url_of(queue: str) -> str | None:
    """Return the URL of the broker that JOBS_BROKERS names for a queue; None where it names none."""
    return brokers().get(queue.removesuffix(DEAD))


def default_url(app: Celery) -> str:
    """Return the URL of the broker that carries all queues of which nobody says another."""
    url: str = app.conf.broker_url
    return url


def urls(app: Celery) -> list[str]:
    """Return the URLs of all brokers, the default one first, each once."""
    return list(dict.fromkeys([default_url(app), *brokers().values()]))


def by_broker(app: Celery, messages: Iterable[M]) -> dict[str, list[M]]:
    """Return messages, or jobs, by the URL of the broker that carries their queue."""
    found: dict[str, list[M]] = {}
    for message in messages:
        found.setdefault(url_of(app, message.queue), []).append(message)
    return found


def is_rabbitmq(url: str) -> bool:
    """Return whether a URL is one of RabbitMQ's."""
    return url.partition("://")[0] in {"amqp", "amqps", "pyamqp"}


def shown(url: str) -> str:
    """Return a broker's URL without its password."""
    return ";".join(sanitize_url(one) for one in url.split(";"))


def one_for(app: Celery, queues: Sequence[str]) -> str:
    """Return the URL of the broker that carries all of these queues. Raises TwoBrokers where there is none."""
    carried: dict[str, list[str]] = {}
    for queue in queues:
        carried.setdefault(url_of(app, queue), []).append(queue)
    if len(carried) > 1:
        lists = "; ".join(f"{shown(url)} carries {', '.join(sorted(names))}" for url, names in carried.items())
        raise TwoBrokers(
            f"A worker consumes queues of one broker, and JOBS_BROKERS gives these to several: {lists}. Start a worker"
            " for the queues of each, with --queues."
        )
    return next(iter(carried), default_url(app))
