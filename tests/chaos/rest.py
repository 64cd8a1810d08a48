"""When a run is over: whether every limit can be used in full again, and the breaker lets jobs pass."""

from tests.brokers.application import application_at
from tests.chaos.journal import Effects
from tests.chaos.limits import AT_ONCE, BURST
from tests.chaos.site import Site
from tests.waiting import NotInTime, wait_for

#: How long the places of all limits may take to be taken, in seconds: no longer than a job may run.
PATIENCE = 25.0


def use_in_full(site: Site) -> tuple[dict[str, str], list[str]]:
    """Fill every limit with jobs that wait for one another, and let them go on.

    Returns:
        The jobs' kinds by label; and which limits could not be used in full, in words.
    """
    from tests.chaos import tasks  # noqa: PLC0415 (Django is set up by then)

    gate = site.directory / "gate"
    filling = {name: [f"last-{name}-{one}" for one in range(2 * most)] for name, most in AT_ONCE.items()}
    paced = [f"last-paced-{one}" for one in range(BURST + 1)]
    with application_at(site.broker_url):
        tasks.slotted.delay_many([(label, "0", 0.0, str(gate)) for label in filling["slotted"]])
        tasks.shared.delay_many([(label, "0", 0.0, str(gate)) for label in filling["shared"]])
        tasks.paced.delay_many([(label, "0") for label in paced])
        tasks.needy.delay("last-needy")
    unused = _unused(site, filling)
    gate.touch()
    kinds = {"slotted.0": filling["slotted"], "shared.0": filling["shared"], "paced.0": paced, "needy": ["last-needy"]}
    return {label: kind for kind, labels in kinds.items() for label in labels}, unused


def _unused(site: Site, filling: dict[str, list[str]]) -> list[str]:
    """Wait until as many have begun as may run at once; return of which limits that did not happen."""
    begun: dict[str, int] = {}

    def all_places_are_taken() -> bool:
        site.keep_alive()
        runs = Effects.read(site.directory / "effects").runs
        begun.update({name: sum(label in runs for label in labels) for name, labels in filling.items()})
        return all(begun[name] >= most for name, most in AT_ONCE.items())

    try:
        wait_for(all_places_are_taken, PATIENCE)
    except NotInTime:
        return [f"{name}: {begun[name]} of {most} places" for name, most in AT_ONCE.items() if begun[name] < most]
    return []
