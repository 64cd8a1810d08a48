"""Running jobs that an operator wants ended."""

from jobs.ledger import operate
from jobs.worker.engine import Engine


def cancel_asked(engine: Engine) -> bool:
    """End those that run in this worker."""
    running = [job.job.lease_id for job in engine.reserved.running()]
    engine.cancel(operate.to_cancel(running))
    return False
