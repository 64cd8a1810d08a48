"""What an operator can do with a circuit breaker: open it, and close it."""

from django.db import transaction

from jobs.core.breaker import Status, opened_by_hand
from jobs.ledger import breakers
from jobs.ledger.attempts import storable
from jobs.models import CircuitBreaker
from jobs.operations.bulk import record

#: The longest reason that is kept, in characters.
REASON_LENGTH = 500


def open_breaker(name: str, *, actor: str, reason: str = "") -> None:
    """Hold back all jobs that need a dependency until an operator closes its breaker; none probes. What runs goes on.

    Args:
        name: of a breaker that a task names.
        actor: who asks.
        reason: why, for those who find it open.
    """
    with transaction.atomic():
        before = _locked(name)
        said = _short(reason)
        breakers.take_by_hand(before, opened_by_hand(before.status, before.now), reason=said, actor=actor)
        record("open breaker", actor, {"breaker": name, "reason": said}, 1)


def close_breaker(name: str, *, actor: str, reason: str = "") -> None:
    """Let the jobs of a breaker go on, and count their failures anew. The workers release what it holds back.

    Args and effects as of `open_breaker`; one that is closed stays so, with nothing counted.
    """
    with transaction.atomic():
        before = _locked(name)
        said = _short(reason)
        breakers.change(before, Status(), reason=said, actor=actor)
        record("close breaker", actor, {"breaker": name, "reason": said}, 1)


def _locked(name: str) -> breakers.Standing:
    breakers.add([name])
    # A person waits for who changes it just now: that takes milliseconds.
    CircuitBreaker.objects.select_for_update().get(pk=name)
    return breakers.standing([name])[0]


def _short(reason: str) -> str:
    return storable(reason.strip())[:REASON_LENGTH]
