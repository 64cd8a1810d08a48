"""How long to wait before what is out of reach is tried again: longer each time, up to a limit, and never in step."""

from collections.abc import Callable

#: Exponents beyond this one cannot matter.
_LARGEST_EXPONENT = 30


def pause(failures: int, first: float, longest: float, random: Callable[[], float]) -> float:
    """Return the seconds to wait after so many failures in a row.

    Args:
        failures: how many, from 1 on.
        first: the pause after the first one; it doubles with each further one.
        longest: no pause is longer.
        random: draws from 0 to below 1. Half of the pause is drawn: processes that lost a server together must not
            come back to it together.
    """
    whole: float = min(longest, first * 2 ** min(max(failures - 1, 0), _LARGEST_EXPONENT))
    return whole * (0.5 + random() / 2)
