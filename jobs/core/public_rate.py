"""How many jobs of a public task one client may submit in a stretch of time, such as `1000/h`. Pure."""

import re
from dataclasses import dataclass

_UNITS = {"s": (1, "second"), "m": (60, "minute"), "h": (3600, "hour"), "d": (86_400, "day")}

RULE = "a number above zero and a unit, such as 10/s, 100/m, 1000/h or 5000/d"


@dataclass(frozen=True, slots=True)
class PublicRate:
    """So many jobs in each stretch of so many seconds; `unit` is that stretch in words."""

    most: int
    seconds: int
    unit: str

    @classmethod
    def read(cls, text: object) -> "PublicRate":
        """Return what a text such as `1000/h` says. Raises ValueError where it says no rate (`RULE`)."""
        match = re.fullmatch(r"([1-9][0-9]{0,8})/([smhd])", text) if isinstance(text, str) else None
        if match is None:
            raise ValueError(f"{text!r} is no rate: it must be {RULE}")
        return cls(int(match[1]), *_UNITS[match[2]])


def is_public_rate(value: object) -> bool:
    """Return whether a task may name this as its rate."""
    try:
        PublicRate.read(value)
    except ValueError:
        return False
    return True
