"""What follows in other apps when a user is renamed or deleted: each tells at start. Called in the same transaction."""

import uuid
from collections.abc import Callable

Follow = Callable[[uuid.UUID], None]

_renamed: list[Follow] = []
_leaving: list[Follow] = []


def register(*, renamed: Follow, leaving: Follow) -> None:
    """Have these called with a user's id: after a change of name, and before the user's row goes."""
    _renamed.append(renamed)
    _leaving.append(leaving)


def renamed(user_id: uuid.UUID) -> None:
    """Tell everybody that a user has another name."""
    for follow in _renamed:
        follow(user_id)


def leaving(user_id: uuid.UUID) -> None:
    """Tell everybody that a user is about to be deleted, with all that is the user's."""
    for follow in _leaving:
        follow(user_id)
