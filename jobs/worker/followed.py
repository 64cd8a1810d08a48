"""What a job's result is for whatever follows it: the text that its followers get."""

from collections.abc import Mapping
from typing import Any

from kombu.utils.json import dumps

from jobs.compose.results import plain
from jobs.core import described
from jobs.worker.misfits import Misfit


def result_for_followers(options: Mapping[str, Any] | None, result: Any) -> str | None:
    """Return a result as JSON; None where nothing follows.

    Raises:
        Misfit: it cannot be written as JSON, and something that follows takes it.
    """
    if not options:
        return None
    chain = options.get("chain") or ()
    takers = [*(options.get("link") or ()), *chain[-1:]]
    if not takers:
        return None
    try:
        return str(dumps(plain(result)))
    except Exception as exc:  # noqa: BLE001 (whatever the result raises, it is no JSON)
        if all(isinstance(taker, Mapping) and taker.get("immutable") for taker in takers):
            return "null"
        why = f"its result cannot be written as JSON: {described.shown(exc)}"
        raise Misfit(f"What follows it cannot be enqueued: {why}") from None
