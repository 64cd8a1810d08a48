"""Running jobs that an operator wants ended."""

from jobs.ledger import operate
from jobs.worker import running_requests


def cancel_asked() -> bool:
    """End those that run in this worker."""
    running = {request.lease_id: request for request in running_requests.running()}
    for lease_id in operate.to_cancel(list(running)):
        running[lease_id].cancel_by_operator()
    return False
