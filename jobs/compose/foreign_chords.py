"""Chords that another program has called: no group of the ledger counts their headers, so nobody runs their bodies."""

import logging
from collections.abc import Mapping
from typing import Any

logger = logging.getLogger(__name__)

#: Chords that this process has told of; at most so many are remembered.
_told: dict[str, None] = {}
MOST_REMEMBERED = 1000


def chord_of(embedded: Mapping[str, Any]) -> Any:
    """Return the body of the chord in whose header a message's task, or the chain that it begins, is; None for none."""
    chain = embedded.get("chain") or ()
    later = [options.get("chord") for step in chain if isinstance(options := step.get("options"), Mapping)]
    return next(filter(None, (embedded.get("chord"), *later)), None)


def tell(task: str, body: Any, group_id: object) -> None:
    """Say, once for each chord, that its body will not run.

    Args:
        task: the name of one in its header.
        body: the signature of its body.
        group_id: by which its header goes; where that is unknown, each call tells.
    """
    if group_id in _told:
        return
    if group_id:
        _told[str(group_id)] = None
        if len(_told) > MOST_REMEMBERED:
            del _told[next(iter(_told))]
    name = body.get("task") if isinstance(body, Mapping) else body
    logger.error(
        "%s is in the header of chord %s, which another program has called: no group of the ledger counts it, and its"
        " body %s will not run. Let the other program send a job that calls the chord.",
        task,
        group_id or "without an id",
        name,
    )
