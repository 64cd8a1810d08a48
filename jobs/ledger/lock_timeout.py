"""A statement that waits for locks, and for so long only: `lock_timeout` for it alone, and the caller's own after it.

On SQLite a transaction that writes is alone, and waits for nobody.
"""

from django.db import OperationalError

#: How PostgreSQL says that a lock was not to be had in time, and that two waited for each other: `lock_not_available`,
#: `deadlock_detected` (its documentation, appendix A).
_SQLSTATES = frozenset({"55P03", "40P01"})

#: Stands first in the WITH of such a statement, and takes the longest wait, such as `100ms`. What locks reads from it,
#: so that it comes after it.
LIMITED = (
    "limited AS MATERIALIZED (SELECT current_setting('lock_timeout') AS before, set_config('lock_timeout', %s, true))"
)

#: Is selected after all else, and gives the caller's setting back.
RESTORED = "set_config('lock_timeout', (SELECT before FROM limited), true)"


def has_passed(exc: OperationalError) -> bool:
    """Return whether an error says that such a statement could not lock a row in its time."""
    return getattr(exc.__cause__, "sqlstate", None) in _SQLSTATES
