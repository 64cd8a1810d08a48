"""Which job of the ledger a Celery task id names."""

import uuid


def ledger_id(task_id: str | uuid.UUID) -> uuid.UUID:
    """Return the ledger's id for a Celery task id; a foreign producer may use ids that are no UUIDs.

    Raises:
        TypeError: it is no id.
    """
    if isinstance(task_id, uuid.UUID):
        return task_id
    if not isinstance(task_id, str):
        raise TypeError(f"{task_id!r:.100} is no id of a job or a group: it must be a text.")
    try:
        return uuid.UUID(task_id)
    except ValueError:
        return uuid.uuid5(uuid.NAMESPACE_URL, f"celery:{task_id}")
