"""A pool process must not outlive its worker: without the parent nobody renews the lease of the job it runs.

When the parent is killed, another worker takes the job over as soon as its lease runs out. A child that went on
working would then run it a second time at once.
"""

import os
import threading
import time
from typing import Any

from celery.signals import worker_process_init

#: Seconds between two looks at the parent; well below any lease.
EVERY = 0.5


def tie_children_to_parent() -> None:
    """Have every pool process end with its worker's parent process."""
    worker_process_init.connect(_watch_parent, dispatch_uid="jobs.lifeline")


def _watch_parent(**_: Any) -> None:
    threading.Thread(target=_watch, args=(os.getppid(),), name="jobs-lifeline", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(EVERY)
    os._exit(1)
