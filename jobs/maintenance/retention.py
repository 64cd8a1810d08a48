"""How long the engine keeps what has ended: its own cleaners for `jobs.cleanup`, and what every worker prunes."""

from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from jobs.conf import conf
from jobs.core.states import State
from jobs.ledger import prune, rules, turns
from jobs.ledger.prune import Past
from jobs.maintenance.cleanup import BATCH, register_cleaner
from jobs.models import ApiToken, Incident
from jobs.tasks.registry import registered

DONE = frozenset({State.SUCCEEDED, State.CANCELLED})


def register_cleaners() -> None:
    """Have the engine's tables cleaned. Called once, at start."""
    register_cleaner("ended jobs", prune_jobs)
    register_cleaner("dead jobs", _prune_dead_jobs)
    # What members of a group that is to be followed leave is wanted as long as those that died may be replayed.
    register_cleaner("groups", lambda limit: prune.prune_groups(conf().dead_retention_seconds, limit))
    register_cleaner("dead letters", _prune_dead_letters)
    register_cleaner("schedule runs", _rows("jobs_schedulerun", lambda: conf().history_seconds))
    register_cleaner("operator actions", _rows("jobs_operatoraction", lambda: conf().history_seconds))
    register_cleaner("idle keys", rules.prune_keys)
    register_cleaner("turns that have passed", turns.prune)
    register_cleaner("breaker changes", _rows("jobs_breakerchange", lambda: conf().history_seconds))
    register_cleaner("ended API tokens", prune_tokens)
    register_cleaner("resolved incidents", prune_incidents)
    register_cleaner("gone workers", _rows("jobs_worker", lambda: conf().retention_seconds))


def prune_jobs(limit: int) -> int:
    """Delete jobs that succeeded or were cancelled, each after its task's own retention, else the engine's."""
    own = _own_retentions()
    named = [name for names in own.values() for name in names]
    deleted = prune.prune_jobs(Past(DONE, conf().retention_seconds, other_than=named), limit)
    for seconds, names in own.items():
        if deleted == limit:
            break
        deleted += prune.prune_jobs(Past(DONE, seconds, tasks=names), limit - deleted)
    return deleted


def prune_a_batch(limit: int = BATCH) -> bool:
    """Delete a batch of each kind of row that comes with every job and is past its time: what a week would pile up.

    Returns:
        Whether there may be more.
    """
    counts = [prune_jobs(limit), _prune_dead_jobs(limit), _prune_dead_letters(limit)]
    return max(counts) == limit


def _prune_dead_jobs(limit: int) -> int:
    return prune.prune_jobs(Past({State.DEAD}, conf().dead_retention_seconds), limit)


def _prune_dead_letters(limit: int) -> int:
    return prune.prune_rows("jobs_deadletter", conf().dead_retention_seconds, limit)


def prune_tokens(limit: int) -> int:
    """Delete tokens that expired or were revoked so long ago that nobody asks any more whose they were."""
    past = timezone.now() - timedelta(seconds=conf().history_seconds)
    ended = ApiToken.objects.filter(Q(expires_at__lt=past) | Q(revoked_at__lt=past)).order_by("pk")
    return ApiToken.objects.filter(pk__in=list(ended.values_list("pk", flat=True)[:limit])).delete()[0]


def prune_incidents(limit: int) -> int:
    """Delete incidents that were resolved long ago, with what is known of who was told."""
    past = timezone.now() - timedelta(seconds=conf().history_seconds)
    ended = Incident.objects.filter(resolved_at__lt=past).order_by("pk").values_list("pk", flat=True)[:limit]
    return Incident.objects.filter(pk__in=list(ended)).delete()[1].get("jobs.Incident", 0)


def _own_retentions() -> dict[float, list[str]]:
    """Return the tasks that say themselves how long their jobs are kept, by that time."""
    found: dict[float, list[str]] = defaultdict(list)
    for name, task in registered().items():
        seconds = getattr(task, "retention", None)
        if seconds is not None:
            found[float(seconds)].append(name)
    return found


def _rows(table: str, seconds: Callable[[], float]) -> Callable[[int], int]:
    return lambda limit: prune.prune_rows(table, seconds(), limit)
