"""The engine's own jobs."""

from jobs import cleanup
from jobs.declare import job


@job(name="jobs.cleanup", queue="maintenance", max_retries=3, time_limit=3600, unique=True)
def clean_up() -> str:
    """Delete what is past its time in every app, in small batches; return how much of what."""
    return cleanup.report(cleanup.clean())
