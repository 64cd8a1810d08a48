"""The project's settings, with Redis keeping books of deliveries, and giving them to others after a second."""

from project.settings import *  # noqa: F403 (they are the project's)

CELERY_BROKER_TRANSPORT_OPTIONS = {
    "ack_emulation": True,
    "visibility_timeout": 1,
    "unacked_restore_interval": 0.5,
    "unacked_restore_throttle": 1,
    "priority_steps": list(range(10)),
}
