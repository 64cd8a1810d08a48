"""Plain Celery under the same faults, for comparison: the same jobs as ordinary tasks, published after the commit.

As people run it: Redis broker, JSON, retries by `autoretry_for`, early acknowledgement or `acks_late` with
`task_reject_on_worker_lost`. The visibility time-out is short, so that what can come back does within the run.
"""

import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from celery import Celery

from tests.acceptance.worker import Worker
from tests.chaos.faults import draw, strike
from tests.chaos.journal import EFFECTS, JOURNAL, Effects, Journal, write
from tests.chaos.later import Later
from tests.chaos.odd import OddMessages
from tests.chaos.plan import Call, transactions
from tests.chaos.proxy import Proxy
from tests.chaos.site import POOLS, through
from tests.environment import environment
from tests.servers.processes import spawn
from tests.waiting import NotInTime, wait_for

LATE = "CHAOS_ACKS_LATE"
VISIBILITY = 10

# Not the current application of whoever imports this: a test process has the project's.
app = Celery("plain", broker=os.environ.get("BROKER_URL", "redis://127.0.0.1:6379/0"), set_as_current=False)
app.conf.update(
    task_ignore_result=True,
    task_default_queue="chaos",
    task_acks_late=os.environ.get(LATE) == "1",
    task_reject_on_worker_lost=os.environ.get(LATE) == "1",
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "visibility_timeout": VISIBILITY,
        "socket_timeout": 5,
        "socket_connect_timeout": 5,
        "unacked_restore_limit": None,
    },
)


class Trouble(Exception):
    """What failing tasks raise."""


@app.task(name="plain.work", autoretry_for=(Trouble,), retry_backoff=1, retry_backoff_max=2, max_retries=20)  # type: ignore[untyped-decorator]
def work(label: str, seconds: float, failures: int) -> None:
    """Fail a few times, then take some time."""
    counter = Path(os.environ[EFFECTS]).with_suffix(".d") / label
    counter.parent.mkdir(exist_ok=True)
    with counter.open("ab") as file:
        file.write(b".")
        times = file.tell()
    if times <= failures:
        raise Trouble(label)
    write(EFFECTS, label, "begin", os.getpid())
    time.sleep(seconds)
    write(EFFECTS, label, "end", os.getpid())


def enqueue(seed: int, name: str, seconds: float, rate: float) -> None:
    """Publish the plan's jobs as a site with plain Celery does: after its transaction has committed."""
    end, rng = time.monotonic() + seconds, random.Random(f"{seed}:{name}:pace")  # noqa: S311
    for transaction in transactions(seed, name):
        if time.monotonic() > end:
            return
        if transaction.commit:
            for call in transaction.calls:
                _publish(call)
        time.sleep(rng.expovariate(rate))


def _publish(call: Call) -> None:
    seconds = call.amount if call.kind in {"short", "slow"} else 0.0
    failures = int(call.amount) if call.kind == "flaky" else 0
    for label in call.labels:
        write(JOURNAL, label, "plan", call.kind)
        # The site's row is committed by now, whatever becomes of the message.
        write(JOURNAL, label, "committed")
        try:
            work.delay(label, seconds, failures)
        except Exception:  # noqa: BLE001, S112 (the request fails; its row stays)
            continue


@dataclass
class PlainSite:
    """A broker behind a proxy and plain workers. Looks like a `Site` to the faults."""

    directory: Path
    late: bool
    count: int
    workers: list[Worker] = field(default_factory=list)
    started: int = 0
    later: Later = field(default_factory=Later)
    odd: OddMessages = field(default_factory=OddMessages)

    def __enter__(self) -> Self:
        self.broker_url = environment.valkey.url
        self.proxies = {"broker": Proxy(environment.valkey.port).__enter__()}
        self.database = None
        self.workers = [self._worker(index) for index in range(self.count)]
        return self

    def __exit__(self, *exc_info: object) -> None:
        for worker in self.workers:
            worker.clean_up()
        self.proxies["broker"].__exit__()

    def keep_alive(self) -> None:
        """Start a new worker for each that has ended."""
        for index, worker in enumerate(self.workers):
            if worker.exit_code is not None:
                worker.clean_up()
                self.workers[index] = self._worker(index)

    def any_worker(self, rng: random.Random) -> Worker | None:
        """Return one of the workers that run."""
        running = [worker for worker in self.workers if worker.exit_code is None]
        return rng.choice(running) if running else None

    def start_older_worker(self) -> None:
        """Start none: all its code is of one age."""

    def variables(self) -> dict[str, str]:
        """Return what leads a process to this site."""
        return {
            "BROKER_URL": through(self.broker_url, self.proxies["broker"]),
            LATE: "1" if self.late else "0",
            EFFECTS: str(self.directory / "effects"),
            JOURNAL: str(self.directory / "journal"),
        }

    def _worker(self, index: int) -> Worker:
        self.started += 1
        log = self.directory / f"plain{index}-{self.started}.log"
        worker = Worker(
            f"plain{index}",
            environment=self.variables(),
            log=log,
            pool=POOLS[index % len(POOLS)],
            options=["--without-gossip", "--without-mingle"],
            app="tests.chaos.plain",
        )
        worker.start()
        return worker


@dataclass
class PlainStory:
    """What became of plain Celery's jobs."""

    late: bool
    faults: Counter[str] = field(default_factory=Counter)
    published: int = 0
    lost: int = 0
    repeated: int = 0
    overlapping: int = 0


def run(
    directory: Path, *, late: bool, seed: int, seconds: float, rate: float, workers: int, tell: Callable[[str], None]
) -> PlainStory:
    """Run chaos on plain Celery for so many seconds, let it come to rest, and count."""
    story, rng = PlainStory(late), random.Random(f"{seed}:faults")  # noqa: S311
    directory.mkdir(parents=True, exist_ok=True)
    environment.valkey.start()
    environment.valkey.flush()
    with PlainSite(directory, late, workers) as site:
        command = [sys.executable, "-m", "tests.chaos.plain", str(seed), "plain", str(seconds), str(rate)]
        enqueuer = spawn(command, log=directory / "enqueue.log", environment=site.variables())
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(min(rng.expovariate(1 / 1.2), 5.0))
            fault = draw(site, rng)
            if said := strike(fault, site, rng):
                story.faults[fault.__name__.replace("_", " ")] += 1
                tell(f"  plain: {said}")
            site.keep_alive()
        site.later.finish()
        enqueuer.wait(30)
        _come_to_rest(site, directory)
    _count(story, directory)
    return story


def _come_to_rest(site: PlainSite, directory: Path) -> None:
    """Wait until every job is done, or long enough for the visibility time-out to bring back what it can."""

    def done() -> bool:
        site.keep_alive()
        committed = Journal.read(directory / "journal").with_end("committed")
        effects = Effects.read(directory / "effects")
        return all(effects.finished(label) for label in committed)

    try:
        wait_for(done, VISIBILITY * 6, what="plain Celery's tasks to end")
    except NotInTime:
        return


def _count(story: PlainStory, directory: Path) -> None:
    effects = Effects.read(directory / "effects")
    committed = Journal.read(directory / "journal").with_end("committed")
    story.published = len(committed)
    story.lost = sum(not effects.finished(label) for label in committed)
    story.repeated = sum(effects.finished(label) > 1 for label in committed)
    story.overlapping = len(effects.overlaps())


if __name__ == "__main__":
    enqueue(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
