"""Every verb of `manage.py jobs`, in the order in which `--help` lists them."""

from jobs.cli import (
    audit,
    dead_letters,
    deploy,
    encryption,
    flow,
    groups,
    jobs,
    limits,
    queues,
    schedules,
    submit,
    tokens,
    top,
    webhooks,
    workers,
)
from jobs.cli.verb import Verb

VERBS: list[Verb] = [
    *jobs.VERBS,
    *groups.VERBS,
    *submit.VERBS,
    *queues.VERBS,
    *limits.VERBS,
    *flow.VERBS,
    *dead_letters.VERBS,
    *schedules.VERBS,
    *webhooks.VERBS,
    *workers.VERBS,
    *deploy.VERBS,
    *audit.VERBS,
    *encryption.VERBS,
    *tokens.VERBS,
    *top.VERBS,
]

#: What the nouns that have verbs of their own stand for.
NOUNS = {
    "deadletters": "list, show, replay and discard dead letters",
    "flow": "limits, pauses of tasks, queues, keys and tenants, circuit breakers: list and change them",
    "schedules": "list schedules and run one now",
    "token": "make, list and revoke tokens of the API",
    "webhooks": "list and change webhooks that are told what becomes of jobs, and deliver again",
}
