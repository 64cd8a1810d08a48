"""Which objects are in use: each app tells, at start, of the keys it made. Nothing else may keep an object alive."""

from collections.abc import Callable, Collection, Iterable

#: Given keys, returns those of them that something refers to.
Referenced = Callable[[Collection[str]], set[str]]

_registry: dict[str, Referenced] = {}


def register(prefix: str, referenced: Referenced) -> None:
    """Let `referenced` say which keys below `prefix` are in use. Called in an AppConfig's `ready`."""
    if not prefix.endswith("/"):
        raise ValueError(f"prefix={prefix!r} is not valid: it must end with a slash.")
    _registry[prefix] = referenced


def keep_all(keys: Collection[str]) -> set[str]:
    """Say that every key is in use: for a prefix whose owner removes what is stale by itself."""
    return set(keys)


def prefixes() -> list[str]:
    """Return the prefixes that somebody answers for."""
    return sorted(_registry)


def referenced(keys: Iterable[str]) -> set[str]:
    """Return those of `keys` that something refers to. A key nobody answers for is referred to by nothing."""
    found: set[str] = set()
    remaining = set(keys)
    for prefix, ask in _registry.items():
        below = {key for key in remaining if key.startswith(prefix)}
        if below:
            found |= ask(below) & below
            remaining -= below
    return found
