"""One run: enqueue under faults, let the system come to rest, account for every job."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.chaos.account import Account, account, rows_of
from tests.chaos.faults import draw, strike
from tests.chaos.journal import Effects, Journal
from tests.chaos.site import Site
from tests.waiting import NotInTime, wait_for

#: Between two faults on average, in seconds.
FAULT_EVERY = 1.2

#: How long the system may take to come to rest after the last fault, in seconds.
REST = 120.0


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


def run(
    site: Site, *, seed: int, seconds: float, rate: float, tell: Callable[[str], None], enqueuers: int = 2
) -> Story:
    """Run chaos on a site for so many seconds, then account. `tell` gets a line for each fault."""
    story, rng = Story(seed, seconds), random.Random(f"{seed}:faults")  # noqa: S311 (a plan that can be repeated)
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
    story.rest_seconds = _come_to_rest(site, tell)
    story.workers_started = site.started
    story.account = _account(site)
    story.letters = _letters()
    return story


def _come_to_rest(site: Site, tell: Callable[[str], None]) -> float:
    begin = time.monotonic()

    def at_rest() -> bool:
        site.keep_alive()
        return not site.enqueuing and not _unfinished()

    try:
        wait_for(at_rest, REST, what="all jobs to end", passing_over=(_database_error(),))
    except NotInTime as exc:
        tell(str(exc))
    return time.monotonic() - begin


def _unfinished() -> int:
    from jobs.core.states import FINAL  # noqa: PLC0415
    from jobs.models import Job  # noqa: PLC0415

    return Job.objects.filter(queue__startswith="chaos").exclude(state__in=FINAL).count()


def _letters() -> int:
    from jobs.models import DeadLetter  # noqa: PLC0415

    return DeadLetter.objects.count()


def _account(site: Site) -> Account:
    from jobs.models import Job  # noqa: PLC0415

    journal, effects = Journal.read(site.directory / "journal"), Effects.read(site.directory / "effects")
    return account(journal, effects, rows_of(Job))


def _database_error() -> type[Exception]:
    from django.db import Error  # noqa: PLC0415

    return Error
