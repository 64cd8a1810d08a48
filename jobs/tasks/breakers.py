"""The breakers that tasks name, and how each is to behave."""

from jobs.core.breaker import Breaker
from jobs.errors import InvalidOption

_declared: dict[str, Breaker] = {}


def declare(given: Breaker | str) -> str:
    """Declare a breaker, or find one that was declared, and return its name.

    Args:
        given: the breaker; or its name, where a task has declared it before.

    Raises:
        InvalidOption: nobody declared it, or somebody did with other figures.
    """
    if not isinstance(given, Breaker):
        if given not in _declared:
            raise InvalidOption(
                f"@job: breaker={given!r} is not declared: give the Breaker itself, or import the module in which a"
                f" task does so before. Declared are: {', '.join(sorted(_declared)) or 'none'}."
            )
        return given
    if (there := _declared.setdefault(given.name, given)) != given:
        raise InvalidOption(
            f"@job: breaker={given!r} is not valid: it is declared already, as {there!r}; one breaker has one set of"
            " figures."
        )
    return given.name


def declared(name: str) -> Breaker:
    """Return the breaker of this name; one with the usual figures where only older or newer code declares it."""
    return _declared.get(name) or Breaker(name)


def names() -> list[str]:
    """Return the names of all that are declared, in order."""
    return sorted(_declared)
