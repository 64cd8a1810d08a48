"""How much there is to do in a queue, and how many jobs would have to run at once: what an autoscaler goes by."""

from dataclasses import dataclass
from datetime import timedelta
from math import ceil

from django.db.models import Avg, DurationField, ExpressionWrapper, F
from django.utils import timezone

from jobs.core.states import State
from jobs.models import Job
from jobs.reports import workers
from jobs.reports.queues import RATE_MINUTES, QueueReport

#: Within how many seconds all that waits is to begin, where no target says.
TARGET_SECONDS = 60.0

#: How long a job takes where none has ended lately, in seconds.
RUN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class QueueLoad:
    """What there is to do, and who does it.

    Attributes:
        waiting: jobs that are due and that nothing but a free slot keeps waiting.
        run_seconds: how long one takes.
        slots: how many the workers that listen can run at once.
    """

    queue: QueueReport
    waiting: int
    run_seconds: float
    slots: int

    @property
    def target_seconds(self) -> float:
        """Within how many seconds all that waits is to begin."""
        return self.queue.target_seconds or TARGET_SECONDS

    @property
    def slots_wanted(self) -> int:
        """How many jobs must run at once to keep up with what comes, and to begin all that waits within the target.

        Both by Little's law: jobs a second, times the seconds that one takes. What runs is not cut off.
        """
        running = self.queue.depth[State.RUNNING]
        if self.queue.paused_at is not None:
            return running
        a_second = self.queue.rate_in / 60 + self.waiting / self.target_seconds
        # A job that waits needs a slot, however quick it is.
        return max(running, ceil(round(a_second * self.run_seconds, 6)), min(self.waiting, 1))


def load_of(queue: QueueReport) -> QueueLoad:
    """Return the load of a queue."""
    ready = Job.objects.filter(queue=queue.name, state=State.QUEUED, held_by=None)
    listening = [worker for worker in workers.alive() if queue.name in worker.queues]
    return QueueLoad(queue, ready.count(), _run_seconds(queue.name), sum(worker.concurrency for worker in listening))


def _run_seconds(name: str) -> float:
    since = timezone.now() - timedelta(minutes=RATE_MINUTES)
    took = ExpressionWrapper(F("finished_at") - F("started_at"), output_field=DurationField())
    lately = Job.objects.filter(queue=name, changed_at__gte=since, state=State.SUCCEEDED, started_at__isnull=False)
    mean = lately.aggregate(mean=Avg(took))["mean"]
    return RUN_SECONDS if mean is None else max(0.001, mean.total_seconds())
