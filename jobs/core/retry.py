"""When a failed job runs again: Celery's option names, one policy, no clock."""

from collections.abc import Callable
from dataclasses import dataclass

#: A wait this long, in seconds, is a mistake (it is 317 years), and too long to be added to a date.
TOO_LONG = 10**10

#: Exponents beyond this one cannot matter: 2**30 seconds are 34 years. With the largest factor (`MOST_TIMES`) the
#: result is still a number.
_LARGEST_EXPONENT = 30

#: The largest factor between two delays.
MOST_TIMES = 1000


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how soon a task's jobs are tried again.

    The names are Celery's and keep its meaning:
    https://docs.celeryq.dev/en/stable/userguide/tasks.html#automatic-retry-for-known-exceptions

    Attributes:
        max_retries: attempts after the first; None for no limit.
        backoff: seconds before the first retry; 0 for `default_delay` always.
        backoff_factor: how many times the one before each further delay is: 2 for 1, 2, 4, 5 for 1, 5, 25 s.
        backoff_max: no computed delay is longer, in seconds.
        jitter: True draws the delay evenly from 0 to the computed one, as Celery does. A fraction below 1
            spreads it by that share to both sides. False or 0 leaves it as computed.
        default_delay: seconds before each retry where `backoff` is off.
        autoretry_for: exceptions that are retried.
        dont_autoretry_for: exceptions that are not, though `autoretry_for` matches them.
    """

    max_retries: int | None = 5
    backoff: float = 1
    backoff_factor: float = 2
    backoff_max: float = 16
    jitter: float | bool = 0.1
    default_delay: float = 1
    autoretry_for: tuple[type[BaseException], ...] = (Exception,)
    dont_autoretry_for: tuple[type[BaseException], ...] = ()

    def handles(self, error: BaseException) -> bool:
        """Return whether `error` is one to retry."""
        return isinstance(error, self.autoretry_for) and not isinstance(error, self.dont_autoretry_for)

    def has_retry_left(self, attempt: int) -> bool:
        """Return whether the job may run again after its `attempt`-th attempt (counted from 1) failed."""
        return self.max_retries is None or attempt <= self.max_retries

    def delay(self, attempt: int, random: Callable[[], float]) -> float:
        """Return the seconds to wait after the `attempt`-th attempt; `random` draws from 0 to below 1."""
        if not self.backoff:
            return self.default_delay
        exponent = min(max(attempt - 1, 0), _LARGEST_EXPONENT)
        delay: float = min(self.backoff_max, self.backoff * self.backoff_factor**exponent)
        if self.jitter is True:
            return delay * random()
        return delay * (1 + float(self.jitter) * (2 * random() - 1))
