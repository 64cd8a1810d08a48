"""The ledger in Django's admin: to be read; what changes it goes through `jobs.operations`."""

from jobs.admin import alerts, breakers, dead_letters, flow, jobs, queues, records, schedules, timings, tokens, webhooks

__all__ = [
    "alerts",
    "breakers",
    "dead_letters",
    "flow",
    "jobs",
    "queues",
    "records",
    "schedules",
    "timings",
    "tokens",
    "webhooks",
]
