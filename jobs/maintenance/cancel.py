"""Jobs that a worker has, and an operator wants ended."""

from jobs.ledger import operate
from jobs.worker.engine import Engine


def cancel_asked(engine: Engine) -> bool:
    """End those that run in this worker, and those that it has claimed and not begun."""
    mine = [job.job.lease_id for job in engine.reserved.all() if not job.is_ended]
    engine.endings.cancel(operate.to_cancel(mine))
    return False
