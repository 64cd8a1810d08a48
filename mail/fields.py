"""The types of what clients give over HTTP: pydantic checks a submission by them, and says what breaks which rule.

The writer of a message keeps the same rules where a call comes from our own code.
"""

from collections.abc import Callable
from typing import Annotated

from django.conf import settings
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from mail import addresses
from mail.addresses import MAX_NAME_CHARACTERS, refuse_control_characters
from mail.bulk import MAX_RECIPIENTS
from mail.custom import MAX_SUBJECT
from mail.errors import InvalidMail

MAX_BODY_CHARACTERS = 100_000


def _kept(check: Callable[[str], object]) -> AfterValidator:
    """Return what has pydantic say a rule of ours in our words, and leaves the value as it is."""

    def checked(value: str) -> str:
        try:
            check(value)
        except InvalidMail as exc:
            raise PydanticCustomError("mail", "{rule}", {"rule": str(exc).rstrip(".")}) from exc
        return value

    return AfterValidator(checked)


def _check_words(value: str) -> None:
    if not value.strip():
        raise InvalidMail("It must hold more than blanks.")


def _check_line(value: str) -> None:
    refuse_control_characters(value, "text")


def _check_language(value: str) -> None:
    known = [code for code, _ in settings.LANGUAGES]
    if value not in known:
        raise InvalidMail(f"It must be one of {', '.join(known)}.")


EmailAddress = Annotated[str, _kept(addresses.parse)]
Name = Annotated[str, Field(max_length=MAX_NAME_CHARACTERS), _kept(_check_line)]
Subject = Annotated[str, Field(max_length=MAX_SUBJECT), _kept(_check_words), _kept(_check_line)]
Body = Annotated[str, Field(max_length=MAX_BODY_CHARACTERS), _kept(_check_words)]
Language = Annotated[str, _kept(_check_language)]
Recipients = Annotated[list[EmailAddress], Field(min_length=1, max_length=MAX_RECIPIENTS)]
