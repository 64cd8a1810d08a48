"""`check-deploy`."""

from dataclasses import asdict

from jobs.cli.output import Output
from jobs.cli.verb import Exit, Failed, Given, Verb, nothing
from jobs.reports.deploy import unrunnable


def _check(given: Given, out: Output) -> Exit:
    found = unrunnable()
    out.json({"unrunnable": [asdict(one) | {"example": str(one.example)} for one in found]})
    out.table(
        ["task", "jobs>", "why", "example"],
        [[one.task, one.jobs, one.why, one.example] for one in found],
        empty="This code can run all jobs that have not ended.",
    )
    if found:
        count = sum(one.jobs for one in found)
        raise Failed(
            f"{count:,} jobs that have not ended cannot be run by this code: let them end first, or keep the task and"
            " the arguments that they have."
        )
    return Exit.DONE


VERBS = [
    Verb(
        ("check-deploy",),
        "fail if jobs that have not ended could not be run by this code",
        _check,
        nothing,
        more="Run it with the new code and the old database, before the new workers start.",
    )
]
