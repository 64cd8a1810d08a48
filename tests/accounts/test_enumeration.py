"""Nobody learns from our answers who has an account."""

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.hashers import BasePasswordHasher, get_hasher
from django.db import connection
from django.test import Client
from django.urls import reverse

from accounts.models import User
from jobs.models import Job
from tests.accounts.mailbox import Mailbox
from tests.cast import PASSWORD

pytestmark = pytest.mark.django_db
KNOWN, UNVERIFIED, UNKNOWN = "alice@example.com", "bob@example.com", "nobody@example.com"
FORMS = ["sign-up", "resend", "password-reset"]


def answer(form: str, email: str) -> tuple[str, list[str]]:
    """Return the page that follows a form, and the statements behind it, without their values."""
    client, statements = Client(), []

    def note(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        statements.append(re.sub(r"\bs\d+_x\d+\b", "savepoint", str(sql)))
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        page = client.post(reverse(f"accounts:{form}"), {"email": email}, follow=True)
    assert page.status_code == 200
    return page.content.decode().replace(email, "ADDRESS"), statements


@pytest.mark.parametrize("form", FORMS)
def test_page_and_work_are_the_same_for_every_address(form: str, alice: User, bob: User) -> None:
    pages, statements = zip(*(answer(form, email) for email in (KNOWN, UNVERIFIED, UNKNOWN)), strict=True)
    assert pages[0] == pages[1] == pages[2]
    assert statements[0] == statements[1] == statements[2]
    assert any("accounts_user" in statement for statement in statements[0])


@pytest.mark.parametrize("form", FORMS)
def test_one_job_is_enqueued_for_every_address(client: Client, form: str, alice: User, bob: User) -> None:
    for email in (KNOWN, UNVERIFIED, UNKNOWN):
        client.post(reverse(f"accounts:{form}"), {"email": email})
    jobs = Job.objects.all()
    assert len(jobs) == 3
    assert all(set(job.kwargs) == {"kind", "user_id"} and uuid.UUID(job.kwargs["user_id"]) for job in jobs)


@pytest.mark.parametrize("form", ["resend", "password-reset"])
def test_an_unknown_address_gets_no_mail(client: Client, form: str, mailbox: Mailbox) -> None:
    client.post(reverse(f"accounts:{form}"), {"email": UNKNOWN})
    assert not mailbox.receive()
    assert mailbox.cancelled == ["Nobody has this account any more."]


@pytest.mark.parametrize("email", [KNOWN, UNVERIFIED, UNKNOWN])
def test_a_failed_log_in_says_and_hashes_the_same(
    email: str, client: Client, alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasher, hashed = type(get_hasher()), []

    def encode(self: BasePasswordHasher, password: str, salt: str) -> str:
        hashed.append(password)
        return original(self, password, salt)

    original = hasher.encode
    monkeypatch.setattr(hasher, "encode", encode)
    page = client.post(reverse("accounts:log-in"), {"username": email, "password": "wrong"})
    assert "This address and password do not match." in page.content.decode()
    assert len(hashed) == 1


def test_an_address_asked_for_by_a_user_answers_the_same_whoever_has_it(client: Client, alice: User, bob: User) -> None:
    client.force_login(alice)
    path = reverse("accounts:email-change")
    said = set()
    for email in (UNVERIFIED, UNKNOWN):
        page = client.post(path, {"email": email, "current_password": PASSWORD}, follow=True)
        by_chance = r'<time .*?</time>|name="csrfmiddlewaretoken" value=".*?"'
        said.add(re.sub(by_chance, "", page.content.decode()).replace(email, ""))
    assert len(said) == 1
