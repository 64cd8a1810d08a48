"""What a queue may be called. Pure.

A queue of ours brings others with it: `email.dead` takes its dead letters, `email.urgent` its urgent messages where the
broker knows no priority. A queue of such a name would take them in, and lose them. Brokers keep names of their own too.
"""

#: The dead-letter queue of `email` is `email.dead`.
DEAD = ".dead"

#: The lane of `email` for what is urgent, on RabbitMQ, is `email.urgent`.
URGENT = ".urgent"

#: Endings of queues that the engine makes beside each queue, and of those by which Celery's workers are controlled.
RESERVED_ENDINGS = (DEAD, URGENT, ".pidbox")

#: Beginnings that RabbitMQ keeps for itself, and of what Celery and Kombu keep beside the queues.
RESERVED_BEGINNINGS = ("amq.", "celeryev", "_kombu.", "unacked")

MOST_SIGNS = 100

RULE = (
    f"a name of at most {MOST_SIGNS} letters, digits, dots, dashes and underscores, which does not end in"
    f" {', '.join(RESERVED_ENDINGS)} or begin with {', '.join(RESERVED_BEGINNINGS)}: these are names of the engine and"
    " its brokers"
)


def is_queue_name(value: object) -> bool:
    """Return whether a queue may be called so (`RULE`)."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= MOST_SIGNS
        and all(sign.isalnum() or sign in "_-." for sign in value)
        and not value.endswith(RESERVED_ENDINGS)
        and not value.startswith(RESERVED_BEGINNINGS)
    )
