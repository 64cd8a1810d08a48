"""What an action of many did, as JSON: the same in the API and on the command line."""

from typing import Any

from jobs.operations.bulk import Result

#: Stands for an error that repeats arguments, where the caller may not see these.
UNTOLD = "It cannot be run again as it is."


def result_json(result: Result, *, dry_run: bool, reads: bool = True) -> dict[str, Any]:
    """Return what an action did, or would do; `reads` says whether the caller may see arguments and errors."""
    refused = [{"id": str(one.id), "why": one.why if reads else UNTOLD} for one in result.refused]
    return {
        "matched": result.matched,
        "changed": result.changed,
        "dry_run": dry_run,
        **({"left": result.left} if result.left else {}),
        **({"refused": refused} if refused else {}),
    }
