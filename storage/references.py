"""Which objects are in use, and who may read them: each app tells, at start, of the keys it made.

Nothing else may keep an object alive.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

#: Given keys, returns those of them that something refers to.
Referenced = Callable[[Collection[str]], set[str]]


@dataclass(frozen=True, slots=True)
class Access:
    """Who may read objects that are not all for everybody.

    Attributes:
        published: given keys, returns those of them that everybody may read.
        may_read: whether this visitor may read this object, which is not published.
    """

    published: Callable[[Collection[str]], set[str]]
    may_read: Callable[[Any, str], bool]


#: Told of an original that turned out to be no image we take, and why.
Refused = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class _Owner:
    referenced: Referenced
    access: Access | None
    refused: Refused | None


_registry: dict[str, _Owner] = {}


def register(prefix: str, referenced: Referenced, access: Access | None = None, refused: Refused | None = None) -> None:
    """Answer for the keys below `prefix`. Called in an AppConfig's `ready`.

    Args:
        prefix: ends with a slash.
        referenced: says which keys are in use.
        access: says who may read them; without it, everybody may.
        refused: is told of originals that no variants can be made of.
    """
    if not prefix.endswith("/"):
        raise ValueError(f"prefix={prefix!r} is not valid: it must end with a slash.")
    _registry[prefix] = _Owner(referenced, access, refused)


def keep_all(keys: Collection[str]) -> set[str]:
    """Say that every key is in use: for a prefix whose owner removes what is stale by itself."""
    return set(keys)


def prefixes() -> list[str]:
    """Return the prefixes that somebody answers for."""
    return sorted(_registry)


def referenced(keys: Iterable[str]) -> set[str]:
    """Return those of `keys` that something refers to. A key nobody answers for is referred to by nothing."""
    return _asked(keys, lambda owner: owner.referenced)


def published(keys: Iterable[str]) -> set[str]:
    """Return those of `keys` that everybody may read. Nobody may read a key that nobody answers for."""
    return _asked(keys, lambda owner: owner.access.published if owner.access else set)


def may_read(user: Any, key: str) -> bool:
    """Return whether this visitor may read an object that is not published."""
    owner = _owner(key)
    return bool(owner and owner.access and owner.access.may_read(user, key))


def refuse(key: str, reason: str) -> None:
    """Tell whose original it is that no variants can be made of it, and why."""
    owner = _owner(key)
    if owner and owner.refused:
        owner.refused(key, reason)


def _owner(key: str) -> _Owner | None:
    return next((owner for prefix, owner in _registry.items() if key.startswith(prefix)), None)


def _asked(keys: Iterable[str], ask: Callable[[_Owner], Referenced]) -> set[str]:
    found: set[str] = set()
    remaining = set(keys)
    for prefix, owner in _registry.items():
        below = {key for key in remaining if key.startswith(prefix)}
        if below:
            found |= ask(owner)(below) & below
            remaining -= below
    return found
