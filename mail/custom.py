"""The one kind of message that belongs to no app: its words come with the request, so it must hold no secret."""

from mail import addresses
from mail.errors import InvalidMail
from mail.messages import Message

MAX_SUBJECT = 200


def write(to: str, subject: str, body: str, name: str = "", language: str = "en") -> Message:
    """Return a message with the given subject and text; empty lines part its paragraphs."""
    check_words(subject, body)
    return Message(
        to=addresses.parse(to, name),
        subject=subject,
        template="mail/messages/custom",
        context={"body": body.strip()},
        language=language,
    )


def check_words(subject: str, body: str) -> None:
    """Raise InvalidMail for a subject or a body that is none."""
    if not subject.strip() or not body.strip():
        raise InvalidMail("A custom message needs a subject and a body; one of them is empty.")
    if len(subject) > MAX_SUBJECT:
        raise InvalidMail(f"A subject has at most {MAX_SUBJECT} characters; this one has {len(subject)}.")
