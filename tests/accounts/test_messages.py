"""Every message of this app, in every language."""

import re

import pytest
from django.conf import settings

from accounts import services
from accounts.models import User
from mail import messages
from mail.errors import InvalidMail, NothingToSend
from mail.rendering import Rendered, render

pytestmark = pytest.mark.django_db
OTHER_LANGUAGES = [code for code, _ in settings.LANGUAGES if code != settings.LANGUAGE_CODE]
NEW = "alice@new.example"
NOTICES = ("password_changed", "email_change_requested", "email_changed")
EVERY_LETTER = [
    *(pytest.param(kind, "", id=kind) for kind in ("verification", "password_reset", "account_exists", "email_change")),
    *(pytest.param("security_notice", event, id=event) for event in NOTICES),
]


def written(kind: str, event: str, user: User, language: str) -> Rendered:
    user.language = language
    if kind == "verification":
        user.email_verified_at = None
    user.save()
    details = {"user_id": str(user.pk)}
    if kind == "email_change" or event.startswith("email"):
        details["change_id"] = str(services.request_email_change(user, NEW).pk)
    return render(messages.write(kind, details | ({"event": event} if event else {})))


def lines(text: str) -> set[str]:
    """Return the lines that have words, without links."""
    return {line for line in re.sub(r"https?://\S+", "", text).splitlines() if " " in line.strip()}


@pytest.mark.parametrize("language", OTHER_LANGUAGES)
@pytest.mark.parametrize("kind,event", EVERY_LETTER)
def test_no_message_keeps_a_line_of_english(kind: str, event: str, language: str, alice: User) -> None:
    english, other = (written(kind, event, alice, code) for code in (settings.LANGUAGE_CODE, language))
    assert len(lines(english.text)) > 2
    assert not lines(english.text) & lines(other.text)
    assert english.subject != other.subject


@pytest.mark.parametrize("kind,event", EVERY_LETTER)
def test_text_and_html_say_the_same_and_lead_to_the_same_pages(kind: str, event: str, alice: User) -> None:
    message = written(kind, event, alice, "en")
    links = set(re.findall(r"http://testserver/[\w./-]*", message.text))
    assert links <= set(re.findall(r"http://testserver/[\w./-]*", message.html))
    words = " ".join(re.sub(r"<[^>]+>", " ", message.html).split())
    first = message.text.splitlines()[0]
    assert first in words
    assert not re.search(r"\{[{%#]|%\(", message.text + message.html)


def test_a_stranger_cannot_have_us_mail_words_of_theirs(bob: User) -> None:
    bob.name = "Win a prize at https://evil.example"
    bob.save()
    message = messages.write("verification", {"user_id": str(bob.pk)})
    assert message.to.name == ""
    assert "evil" not in f"{render(message)}"


@pytest.mark.parametrize(
    "kind,details",
    [
        ("verification", {"user_id": "17"}),
        ("email_change", {"user_id": "00000000-0000-0000-0000-000000000000", "change_id": "x"}),
        ("security_notice", {"user_id": "00000000-0000-0000-0000-000000000000", "event": "birthday"}),
    ],
)
def test_senseless_details_are_refused(kind: str, details: dict[str, str]) -> None:
    with pytest.raises(InvalidMail):
        messages.write(kind, details)


def test_a_senseless_time_is_refused(alice: User) -> None:
    details = {"user_id": str(alice.pk), "event": "password_changed", "at": "yesterday"}
    with pytest.raises(InvalidMail, match="'yesterday' is no time: it must be in ISO 8601"):
        messages.write("security_notice", details)


@pytest.mark.parametrize("kind", ["verification", "password_reset", "account_exists"])
def test_nobody_gets_no_message(kind: str) -> None:
    with pytest.raises(NothingToSend, match="Nobody has this account any more"):
        messages.write(kind, {"user_id": "00000000-0000-0000-0000-000000000000"})
