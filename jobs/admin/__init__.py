"""The ledger in Django's admin: to be read; what changes it goes through `jobs.operations`."""

from jobs.admin import jobs, letters, queues, records, schedules, timings, tokens

__all__ = ["jobs", "letters", "queues", "records", "schedules", "timings", "tokens"]
