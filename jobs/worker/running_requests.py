"""Which jobs this worker process holds."""

from celery.worker import state

from jobs.worker.request import JobRequest


def running() -> list[JobRequest]:
    """Return the jobs that the pool has begun and not ended."""
    return _jobs(state.active_requests)


def _jobs(requests: object) -> list[JobRequest]:
    # The set belongs to the worker's main thread and may change under our eyes.
    while True:
        try:
            return [request for request in list(requests) if isinstance(request, JobRequest)]  # type: ignore[call-overload]
        except RuntimeError:
            continue
