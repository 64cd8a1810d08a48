"""Which job of the ledger a Celery task id names."""

import uuid


def ledger_id(task_id: str) -> uuid.UUID:
    """Return the ledger's id for a Celery task id; a foreign producer may use ids that are no UUIDs."""
    try:
        return uuid.UUID(task_id)
    except ValueError:
        return uuid.uuid5(uuid.NAMESPACE_URL, f"celery:{task_id}")
