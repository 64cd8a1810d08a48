"""One meaning of priority: 0 to 9, higher first, whatever the broker's own habit."""

#: Transports on which the lowest number comes first (Kombu's documentation of each transport).
LOWEST_FIRST = frozenset({"redis"})

HIGHEST = 9
PRIORITIES = range(HIGHEST + 1)


def on_the_wire(priority: int, driver: str) -> int:
    """Return the number that means `priority` to the transport with this `driver_type`; and the other way round."""
    return HIGHEST - priority if driver in LOWEST_FIRST else priority
