"""What a message is, and who writes which kind.

`mail` knows no other app. Whoever has something to say registers a *writer* for its kind of message while Django
starts; the task looks the writer up by name and calls it in the worker, at the moment of sending. So a writer may
read the database and sign links, and a job's arguments hold neither text nor secrets.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from django.utils.functional import Promise

from mail.addresses import Address
from mail.errors import InvalidMail


@dataclass(frozen=True, slots=True)
class Message:
    """What one email says, and to whom. Not yet how it looks or travels.

    Attributes:
        to: the reader.
        subject: in the reader's language, or translated to it when the message is rendered.
        template: names `<template>.mjml` and `<template>.txt`.
        context: what both templates are filled with.
        language: the language the templates are filled in, as Django writes it (`de`).
    """

    to: Address
    subject: str | Promise
    template: str
    context: Mapping[str, object] = field(default_factory=dict)
    language: str = "en"


#: Takes what the job was given, by name; returns the message. Raises NothingToSend where it has become pointless,
#: InvalidMail where what it was given makes no sense.
Writer = Callable[..., Message]

_writers: dict[str, Writer] = {}


def register(kind: str, writer: Writer) -> None:
    """Let `writer` write messages of this kind. Raises ValueError where another one already does."""
    if _writers.setdefault(kind, writer) is not writer:
        raise ValueError(f"Messages of kind {kind!r} are already written by {_writers[kind].__qualname__}.")


def kinds() -> tuple[str, ...]:
    """Return every registered kind, in alphabetical order."""
    return tuple(sorted(_writers))


def write(kind: str, details: Mapping[str, str]) -> Message:
    """Return the message of this kind about `details`. Raises InvalidMail for an unknown kind or wrong details."""
    writer = _writers.get(kind)
    if writer is None:
        raise InvalidMail(f"There is no message of kind {kind!r}; known kinds: {', '.join(kinds())}.")
    try:
        bound = inspect.signature(writer).bind(**details)
    except TypeError as exc:
        raise InvalidMail(f"A message of kind {kind!r} cannot be written from {sorted(details)}: {exc}.") from exc
    return writer(*bound.args, **bound.kwargs)
