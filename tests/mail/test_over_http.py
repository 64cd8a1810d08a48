"""Mail that clients submit: `POST /api/jobs` with `mail.send_custom`."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from pydantic import TypeAdapter, ValidationError

from jobs.models import Job
from mail import custom, fields
from mail.errors import InvalidMail
from mail.tasks import send, send_custom
from tests.jobs.api.conftest import Api, api, api_of, errors, nothing_spent
from tests.jobs.conftest import no_dispatcher_left
from tests.jobs.delivery import deliver
from tests.jobs.letters import dead_letter
from tests.servers import SmtpServer

__all__ = ["api", "api_of", "no_dispatcher_left", "nothing_spent"]

pytestmark = pytest.mark.django_db(transaction=True)

API_DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "api.md"
NEWS = {"to": "jane@example.com", "subject": "News", "body": "Hi"}


def mail(**changes: Any) -> dict[str, Any]:
    return {"task": "mail.send_custom", "kwargs": {**NEWS, **changes}}


def test_a_submitted_mail_arrives(api: Api, smtp: SmtpServer) -> None:
    answer = api.post("jobs", mail(name="Jané", language="de"))
    assert answer.status_code == 201
    job = Job.objects.get(pk=answer.json()["id"])
    deliver(job)
    (received,) = smtp.mails
    assert received.message["To"] == "Jané <jane@example.com>"
    assert received.message["Subject"] == "News"
    assert received.message["Content-Language"] == "de"
    assert received.message["Message-ID"] == f"<{job.pk}@example.com>"


def test_other_kinds_of_messages_are_for_our_own_code(api: Api) -> None:
    answer = api.post("jobs", {"task": "mail.send", "kwargs": {"kind": "password_reset", "user_id": "x"}})
    assert answer.status_code == 403
    assert "mail.send_custom" in answer.json()["detail"]
    [(field, _, rule)] = errors(api.post("jobs", mail(kind="password_reset")))
    assert (field, rule.partition(",")[0]) == ("kwargs.kind", "is no argument of the task")


@pytest.mark.parametrize(
    "wrong, rule",
    [
        ({"to": "nobody"}, "'nobody' is not an email address: it needs an @ between mailbox and host"),
        ({"to": "jane@example.com, john@example.com"}, "is not an email address"),
        ({"to": "Jane <jane@example.com>"}, "is not an email address"),
        ({"to": "jane@example.com\r\nBcc: all@example.com"}, "has the control character U+000D at position 16"),
        ({"to": ["jane@example.com"]}, "Input should be a valid string"),
        ({"to": None}, "Input should be a valid string"),
        ({"subject": "News\nBcc: all@example.com"}, "has the control character U+000A at position 4"),
        ({"subject": "News\u2028"}, "has the control character U+2028"),
        ({"subject": "x" * 201}, "String should have at most 200 characters"),
        ({"subject": " "}, "It must hold more than blanks"),
        ({"subject": 7}, "Input should be a valid string"),
        ({"body": " \n"}, "It must hold more than blanks"),
        ({"body": "x" * 100_001}, "String should have at most 100000 characters"),
        ({"name": "Jane\r\n"}, "has the control character U+000D"),
        ({"name": "x" * 201}, "String should have at most 200 characters"),
        ({"language": "tlh"}, "It must be one of en, de"),
    ],
)
def test_what_could_not_be_sent_is_refused_by_field_and_rule(api: Api, wrong: dict[str, Any], rule: str) -> None:
    answer = api.post("jobs", mail(**wrong))
    assert answer.status_code == 422
    [(field, _, said)] = errors(answer)
    assert field == f"kwargs.{next(iter(wrong))}"
    assert rule in said
    assert not Job.objects.exists()


def test_what_is_missing_is_named(api: Api) -> None:
    answer = api.post("jobs", {"task": "mail.send_custom", "kwargs": {}})
    assert errors(answer) == [(f"kwargs.{name}", None, "is required") for name in NEWS]


@given(to=st.text(max_size=30), subject=st.text(max_size=210), body=st.text(max_size=20), name=st.text(max_size=210))
def test_what_is_accepted_can_be_written(to: str, subject: str, body: str, name: str) -> None:
    types = {"to": fields.EmailAddress, "subject": fields.Subject, "body": fields.Body, "name": fields.Name}
    given_values = {"to": to, "subject": subject, "body": body, "name": name}
    try:
        for field, kind in types.items():
            TypeAdapter(kind).validate_python(given_values[field], strict=True)
    except ValidationError:
        return
    try:
        custom.write(**given_values)
    except InvalidMail as exc:
        raise AssertionError("a client would learn too late what is wrong") from exc


# --- So many an hour --------------------------------------------------------------------------------


@pytest.fixture
def three_an_hour() -> Any:
    """Let one client submit three mails an hour."""
    before, send_custom.public_rate = send_custom.public_rate, "3/h"
    yield
    send_custom.public_rate = before


@pytest.mark.usefixtures("three_an_hour")
def test_one_client_may_submit_so_many_mails_an_hour(api_of: Callable[..., Api]) -> None:
    one, other = api_of("submit"), api_of("submit")
    assert [one.post("jobs", mail()).status_code for _ in range(4)] == [201, 201, 201, 429]
    answer = one.post("jobs", mail())
    assert 0 < int(answer["Retry-After"]) <= 3600
    assert "mail.send_custom takes 3 jobs per hour from one client: 0 are left" in answer.json()["detail"]
    assert other.post("jobs", mail()).status_code == 201
    assert one.post("jobs", {"task": "tests.tasks_app.tasks.public_note", "kwargs": {"effect": "x"}}).status_code == 201
    assert Job.objects.filter(task="mail.send_custom").count() == 4


@pytest.mark.usefixtures("three_an_hour")
def test_many_at_once_count_each_and_too_many_count_none(api: Api) -> None:
    assert api.post("jobs/bulk", {"jobs": [mail()] * 4}).status_code == 429
    assert not Job.objects.exists()
    assert api.post("jobs/bulk", {"jobs": [mail()] * 3}).status_code == 201
    assert api.post("jobs", mail()).status_code == 429


@pytest.mark.usefixtures("three_an_hour")
def test_a_request_that_is_sent_again_does_not_count_again(api: Api) -> None:
    answers = [api.post("jobs", mail(), Idempotency_Key="one").status_code for _ in range(9)]
    assert answers == [201] + [200] * 8
    assert api.post("jobs/bulk", {"jobs": [mail()] * 2}).status_code == 201


@pytest.mark.usefixtures("three_an_hour")
def test_what_is_refused_does_not_count(api: Api) -> None:
    assert [api.post("jobs", mail(to="nobody")).status_code for _ in range(5)] == [422] * 5
    assert api.post("jobs/bulk", {"jobs": [mail()] * 3}).status_code == 201


@pytest.mark.usefixtures("three_an_hour")
def test_a_replay_with_other_arguments_is_a_submission_like_any_other(api: Api) -> None:
    letter = dead_letter(task="mail.send_custom", kwargs=NEWS)
    body = {"kwargs": {**NEWS, "to": "john@example.com"}, "force": True}
    answers = [api.post(f"dead-letters/{letter.pk}/replay", body).status_code for _ in range(4)]
    assert answers == [200, 200, 200, 429]


@pytest.mark.usefixtures("three_an_hour")
def test_our_own_code_sends_as_many_as_it_likes() -> None:
    send_custom.delay_many([NEWS] * 5)
    send.delay(kind="custom", **NEWS)
    assert Job.objects.count() == 6


# --- The example of the documents ---------------------------------------------------------------------


def test_the_documented_request_sends_a_mail(api: Api, live_server: Any, smtp: SmtpServer) -> None:
    [command] = [
        block for block in re.findall(r"```\n\$ (curl .+?)```", API_DOCUMENT.read_text(), re.DOTALL) if "mail." in block
    ]
    command = command.replace("https://example.com", live_server.url).replace("nst_…", api.token)
    done = subprocess.run(["bash", "-c", f"{command.strip()} --silent"], capture_output=True, text=True, check=True)
    assert '"task": "mail.send_custom"' in done.stdout.replace('":"', '": "'), done.stdout
    deliver(Job.objects.get())
    assert smtp.mails[0].recipients == ["jane@example.com"]
