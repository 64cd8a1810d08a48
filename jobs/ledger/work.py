"""What there is to do for maintenance: one statement says it, and costs next to nothing where there is nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.core.states import State
from jobs.ledger.breakers import ARE_BREAKERS_WANTED, is_probe_wanted
from jobs.ledger.dialect import dialect
from jobs.ledger.hold import NEEDS_NEWER_CODE
from jobs.ledger.maintain import DUE, undispatched_queues
from jobs.ledger.sql import rows


@dataclass(frozen=True, slots=True)
class Work:
    """What was found.

    Attributes:
        kinds: what there is:
            `due`: scheduled or retrying jobs whose time has come;
            `undispatched`: queued jobs without a message, for longer than their process should take;
            `held`: jobs that wait for newer code;
            `breakers`: one that is not closed, or holds jobs back;
            `probes`: a breaker that may be probed, and holds back jobs that could;
            `ended`: a pause whose time is over;
            `lines`: limits for which jobs may stand in line.
        paused: the names of the paused queues.
    """

    kinds: frozenset[str]
    paused: frozenset[str]


def find_work(grace_seconds: float, without: Sequence[str]) -> Work:
    """Look for what waits for maintenance.

    Args:
        grace_seconds: how long a job may be without a message.
        without: queues that the broker refuses just now; nothing is dispatched to these.
    """
    sql = dialect()
    job = "SELECT 1 FROM jobs_job WHERE"
    found = rows(
        f"SELECT 'due', '' WHERE EXISTS ({job} {DUE} AND run_at <= {sql.now})"
        f" UNION ALL SELECT 'undispatched', '' WHERE EXISTS ({undispatched_queues(sql)})"
        f" UNION ALL SELECT 'held', '' WHERE EXISTS ({job} state = '{State.QUEUED}' AND {NEEDS_NEWER_CODE})"
        f" UNION ALL SELECT 'breakers', '' WHERE {ARE_BREAKERS_WANTED}"
        f" UNION ALL SELECT 'probes', '' WHERE {is_probe_wanted(sql)}"
        f" UNION ALL SELECT 'ended', '' WHERE EXISTS (SELECT 1 FROM jobs_queue WHERE paused_until <= {sql.now})"
        f" OR EXISTS (SELECT 1 FROM jobs_flow_rule WHERE paused_until <= {sql.now})"
        " UNION ALL SELECT 'lines', '' WHERE EXISTS (SELECT 1 FROM jobs_flow_rule WHERE has_line)"
        " UNION ALL SELECT 'paused', name FROM jobs_queue WHERE paused_at IS NOT NULL",
        [-grace_seconds, sql.array(without)],
    )
    kinds = {kind for kind, _ in found}
    paused = frozenset(name for kind, name in found if kind == "paused")
    return Work(frozenset(kinds - {"paused"}), paused)
