"""Django Tasks (`@task`, `.enqueue()`) on the ledger.

    TASKS = {"default": {"BACKEND": "jobs.django_tasks.LedgerBackend", "QUEUES": []}}

https://docs.djangoproject.com/en/6.0/topics/tasks/
"""

from jobs.django_tasks.backend import LedgerBackend

__all__ = ["LedgerBackend"]
