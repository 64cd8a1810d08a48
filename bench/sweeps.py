"""One sweep of the content store, as the job does it."""

from storage.client import store
from storage.orphans import Limits, sweep


def sweep_content() -> str:
    """Sweep, and say what came of it."""
    found = sweep(store("content"), Limits.configured())
    return f"{found.orphans:,} orphans of {found.seen:,}, {found.deleted:,} deleted"
