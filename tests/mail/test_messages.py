"""Kinds of messages and their writers."""

import pytest

from mail import messages
from mail.errors import InvalidMail
from mail.messages import Message


def test_every_kind_of_the_site_has_a_writer() -> None:
    assert messages.kinds() == (
        "account_exists",
        "custom",
        "email_change",
        "password_reset",
        "security_notice",
        "verification",
    )


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidMail, match="no message of kind 'poem'; known kinds: account_exists, custom"):
        messages.write("poem", {})


@pytest.mark.parametrize(
    "details", [{}, {"to": "jane@example.com"}, {"to": "a@b.de", "subject": "s", "body": "b", "cc": "x"}]
)
def test_details_that_do_not_fit_the_kind_are_refused(details: dict[str, str]) -> None:
    with pytest.raises(InvalidMail, match="kind 'custom' cannot be written from"):
        messages.write("custom", details)


def test_a_kind_has_one_writer() -> None:
    def another(to: str) -> Message:
        raise NotImplementedError(to)

    with pytest.raises(ValueError, match="'custom' are already written by write"):
        messages.register("custom", another)


def test_a_custom_message_says_what_it_was_given() -> None:
    message = messages.write("custom", {"to": "Jane@Example.com", "subject": "News", "body": "Hi\n\nBye"})
    assert (str(message.to), message.subject, message.context["body"]) == ("Jane@example.com", "News", "Hi\n\nBye")


@pytest.mark.parametrize(
    "details,rule",
    [
        ({"subject": " ", "body": "b"}, "needs a subject and a body"),
        ({"subject": "s", "body": "\n"}, "needs a subject and a body"),
        ({"subject": "x" * 201, "body": "b"}, "at most 200 characters"),
    ],
)
def test_an_empty_or_endless_custom_message_is_refused(details: dict[str, str], rule: str) -> None:
    with pytest.raises(InvalidMail, match=rule):
        messages.write("custom", {"to": "jane@example.com", **details})
