"""One run: enqueue under faults, let the system come to rest, account for every job."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.account import Account, account, rows_of
from tests.chaos.asking import ask
from tests.chaos.faults import draw, strike
from tests.chaos.journal import Effects, Journal
from tests.chaos.odd import OddMessages
from tests.chaos.rest import use_in_full
from tests.chaos.site import Site
from tests.waiting import NotInTime, wait_for

#: Between two faults on average, in seconds.
FAULT_EVERY = 1.2

#: How long the system may take to come to rest after the last fault, in seconds.
REST = 180.0


@dataclass
class Story:
    """What was done to the system and how it ended."""

    seed: int
    seconds: float
    faults: Counter[str] = field(default_factory=Counter)
    log: list[str] = field(default_factory=list)
    account: Account = field(default_factory=Account)
    rest_seconds: float = 0.0
    workers_started: int = 0
    letters: int = 0
    #: Jobs that were seen held back: for newer code, by a limit or a breaker.
    held_back: set[Any] = field(default_factory=set)
    odd: OddMessages = field(default_factory=OddMessages)
    #: Limits that could not be used in full afterwards, and how often a breaker opened meanwhile.
    unused: list[str] = field(default_factory=list)
    openings: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether every promise was kept."""
        return self.account.is_clean and not self.odd.lost() and not self.unused


def run(
    site: Site, *, seed: int, seconds: float, rate: float, tell: Callable[[str], None], enqueuers: int = 2
) -> Story:
    """Run chaos on a site for so many seconds, then account. `tell` gets a line for each fault."""
    story, rng = Story(seed, seconds, odd=site.odd), random.Random(f"{seed}:faults")  # noqa: S311 (can be repeated)
    for index in range(enqueuers):
        site.enqueuer(seed, f"web{index}", seconds, rate)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(min(rng.expovariate(1 / FAULT_EVERY), 5.0))
        fault = draw(site, rng)
        if said := strike(fault, site, rng):
            story.faults[fault.__name__.replace("_", " ")] += 1
            story.log.append(f"{seconds - (end - time.monotonic()):6.1f} s  {said}")
            tell(story.log[-1])
        site.keep_alive()
        story.held_back |= ask(_held_back) or set()
    site.later.finish()
    story.rest_seconds = _come_to_rest(site, tell)
    last, story.unused = use_in_full(site)
    _come_to_rest(site, tell)
    story.workers_started = site.started
    story.account = _account(site, last)
    story.letters, story.openings = _letters(), _openings()
    return story


def _come_to_rest(site: Site, tell: Callable[[str], None]) -> float:
    begin = time.monotonic()

    def at_rest() -> bool:
        site.keep_alive()
        ends = not site.enqueuing and ask(_unfinished) == 0
        return ends and not set(site.odd.unsettled()) - site.odd.risked.keys()

    try:
        wait_for(at_rest, REST, what="all jobs to end")
    except NotInTime as exc:
        tell(str(exc))
    return time.monotonic() - begin


def _held_back() -> set[Any]:
    from jobs.models import Job  # noqa: PLC0415

    return set(Job.objects.filter(held_by__isnull=False).values_list("pk", flat=True))


def _unfinished() -> int:
    from jobs.core.states import FINAL  # noqa: PLC0415
    from jobs.models import Job  # noqa: PLC0415

    return Job.objects.filter(queue__startswith="chaos").exclude(state__in=FINAL).count()


def _letters() -> int:
    from jobs.models import DeadLetter  # noqa: PLC0415

    return DeadLetter.objects.count()


def _openings() -> int:
    from jobs.models import CircuitBreaker  # noqa: PLC0415

    return sum(CircuitBreaker.objects.values_list("openings", flat=True))


def _account(site: Site, last: dict[str, str]) -> Account:
    from jobs.models import Job  # noqa: PLC0415

    journal, effects = Journal.read(site.directory / "journal"), Effects.read(site.directory / "effects")
    journal.kinds |= last
    journal.ends |= dict.fromkeys(last, "committed")
    return account(journal, effects, rows_of(Job), site.written())
