"""One job, many recipients: `mail.send_bulk`."""

import re
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from jobs import Permanent, Snooze
from jobs.models import Job
from mail import bulk, cleanup, unsubscribing
from mail.bulk import Mailing, Unfinished, carry_on
from mail.errors import MailError
from mail.models import Recipient, Unsubscription
from mail.tasks import _as_outcome, send_bulk
from tests.jobs.api.conftest import Api, api, api_of, errors, nothing_spent
from tests.jobs.conftest import no_dispatcher_left
from tests.jobs.delivery import deliver
from tests.mail.executors import running_ses
from tests.servers import SesServer, SmtpServer

__all__ = ["api", "api_of", "no_dispatcher_left", "nothing_spent"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("nothing_spent")]

JOB_ID = uuid.UUID(int=7)
THREE = ["jane@example.com", "john@example.com", "zoe@example.com"]
NEWS: dict[str, Any] = {"recipients": THREE, "subject": "News", "body": "Hi"}


def mailing(*recipients: str, retries: int = 0, job_id: uuid.UUID = JOB_ID) -> Mailing:
    return Mailing(job_id, retries, recipients or THREE, "News", "Hi", "en")


def reached(smtp: SmtpServer) -> list[str]:
    return [recipient for mail in smtp.mails for recipient in mail.recipients]


def outcomes() -> dict[str, str]:
    return dict(Recipient.objects.values_list("address", "outcome"))


# --- Each recipient's own outcome -------------------------------------------------------------------


def test_each_gets_a_mail_of_its_own_and_sees_no_other(smtp: SmtpServer) -> None:
    assert carry_on(mailing()) == dict.fromkeys(THREE, "sent")
    assert reached(smtp) == THREE
    for mail in smtp.mails:
        assert sum(address.encode() in mail.content for address in THREE) == 1
    assert len({mail.message["Message-ID"] for mail in smtp.mails}) == 3
    assert smtp.connections == 1


def test_who_is_named_twice_gets_one_mail(smtp: SmtpServer) -> None:
    assert carry_on(mailing("jane@example.com", "Jane@EXAMPLE.com", "jane@example.com")) == {"jane@example.com": "sent"}
    assert reached(smtp) == ["jane@example.com"]


def test_a_final_refusal_of_one_fails_no_other(smtp: SmtpServer) -> None:
    smtp.refuse("RCPT", "550 5.1.1 no such user", recipient="john@")
    found = carry_on(mailing(*THREE, "nobody", "josé@example.com"))
    assert (found["jane@example.com"], found["zoe@example.com"], found["josé@example.com"]) == ("sent", "sent", "sent")
    assert found["john@example.com"].startswith("refused: ")
    assert "550 5.1.1 no such user" in found["john@example.com"]
    assert "'nobody' is not an email address" in found["nobody"]


def test_a_server_without_utf8_refuses_those_alone_who_need_it(smtp: SmtpServer) -> None:
    smtp.refuse("EHLO", "502 5.5.2 command not known")
    found = carry_on(mailing("josé@example.com", "jane@example.com"))
    assert found["jane@example.com"] == "sent"
    assert "SMTPUTF8 not supported" in found["josé@example.com"]


def test_only_who_was_put_off_is_tried_again_and_by_the_next_attempt(smtp: SmtpServer) -> None:
    smtp.refuse("RCPT", "451 4.7.1 greylisted", recipient="john@")
    for _ in range(2):
        with pytest.raises(MailError, match=r"2 sent, 1 put off of 3; the first put off: .* greylisted") as caught:
            carry_on(mailing())
        assert not caught.value.permanent
    assert Counter(reached(smtp)) == {"jane@example.com": 1, "zoe@example.com": 1}
    smtp.behave()
    assert carry_on(mailing(retries=1)) == dict.fromkeys(THREE, "sent")
    assert Counter(reached(smtp)) == dict.fromkeys(THREE, 1)


@pytest.mark.parametrize(
    "fault, permanent",
    [
        (("MAIL", "421 4.3.2 going down"), False),
        (("MAIL", "451 4.3.0 later"), False),
        (("MAIL", "550 5.7.1 this sender never"), True),
    ],
)
def test_what_concerns_all_stops_at_the_first_and_leaves_the_others_for_later(
    smtp: SmtpServer, fault: tuple[str, str], permanent: bool
) -> None:
    smtp.refuse(*fault)
    with pytest.raises(MailError) as caught:
        carry_on(mailing())
    assert caught.value.permanent is permanent
    assert outcomes() == {}
    smtp.behave()
    assert carry_on(mailing(retries=1)) == dict.fromkeys(THREE, "sent")


def test_where_nobody_got_it_the_job_is_dead_and_a_replay_tries_all_again(smtp: SmtpServer) -> None:
    smtp.refuse("CONTENT", "554 5.7.1 this looks like spam")
    with pytest.raises(MailError, match=r"None of 3 got it; the first: .*looks like spam") as caught:
        carry_on(mailing())
    assert caught.value.permanent
    smtp.behave()
    assert carry_on(mailing(retries=1)) == dict.fromkeys(THREE, "sent")


@pytest.fixture
def ses(settings: Settings) -> Iterator[SesServer]:
    """Return the SES to which the settings lead."""
    with running_ses() as server:
        settings.MAIL_EXECUTOR, settings.SES_REGION, settings.SES_ENDPOINT = "ses", server.region, server.url
        settings.SES_ACCESS_KEY, settings.SES_SECRET_KEY = server.access_key, server.secret_key
        yield server


@pytest.mark.parametrize("code", ["MessageRejected", "BadRequestException"])
def test_a_refusal_of_one_by_ses_fails_no_other(ses: SesServer, code: str) -> None:
    ses.refuse(400, code, "Domain contains illegal character", recipient="jane@")
    found = carry_on(mailing())
    assert found["jane@example.com"].startswith("refused: ")
    assert [mail.recipients for mail in ses.mails] == [["john@example.com"], ["zoe@example.com"]]


@pytest.mark.parametrize(
    "code, words",
    [
        ("MailFromDomainNotVerifiedException", "No."),
        ("MessageRejected", "Email address is not verified: nightshift@example.com"),
        ("TooManyRequestsException", "Maximum sending rate exceeded."),
    ],
)
def test_what_ses_says_of_the_sender_or_the_rate_concerns_all(ses: SesServer, code: str, words: str) -> None:
    ses.refuse(400, code, words)
    with pytest.raises(MailError, match=code):
        carry_on(mailing())
    assert (ses.requests, outcomes()) == (1, {})


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"recipients": []}, "1 to 1000 recipients; this one has 0"),
        ({"recipients": ["a@example.com"] * 1001}, "this one has 1001"),
        ({"subject": " "}, "needs a subject and a body"),
        ({"subject": "a\nBcc: b@example.com"}, "control character"),
    ],
)
def test_a_mailing_that_is_none_is_permanent_and_reaches_nobody(
    smtp: SmtpServer, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(Permanent, match=said):
        send_bulk(**{**NEWS, **changes})
    assert not smtp.mails


# --- Slices and attempts ----------------------------------------------------------------------------


def test_a_slice_that_is_over_puts_the_rest_off(smtp: SmtpServer) -> None:
    with pytest.raises(Unfinished, match="0 of 3 are done"):
        carry_on(mailing(), seconds=-1)
    assert carry_on(mailing()) == dict.fromkeys(THREE, "sent")
    assert reached(smtp) == THREE


def test_the_end_of_a_slice_costs_no_attempt_and_says_how_far_it_came() -> None:
    with pytest.raises(Snooze, match="300 of 1000 are done") as caught, _as_outcome():
        raise Unfinished("300 of 1000 are done")
    assert caught.value.seconds == 0


def test_the_job_says_how_far_it_is_and_stands_behind_single_mails(smtp: SmtpServer) -> None:
    job: Job = send_bulk.delay(**NEWS).job
    assert job.priority < 5
    deliver(job)
    assert (job.state, job.progress) == ("succeeded", {"done": 3, "total": 3, "message": "3 sent"})
    assert job.result == dict.fromkeys(THREE, "sent")
    assert {row.job_id for row in Recipient.objects.all()} == {job.pk}


def test_reasons_that_would_make_the_result_too_large_stand_in_the_rows_alone(
    smtp: SmtpServer, settings: Settings
) -> None:
    settings.JOBS_MAX_RESULT_BYTES = 150
    smtp.refuse("RCPT", "550 5.1.1 no such user", recipient="john@")
    assert carry_on(mailing()) == {**dict.fromkeys(THREE, "sent"), "john@example.com": "refused"}
    assert "no such user" in Recipient.objects.get(address="john@example.com").reason


def test_an_attempt_after_a_failed_one_sends_nothing_twice(smtp: SmtpServer) -> None:
    smtp.refuse("RCPT", "451 4.7.1 greylisted", recipient="john@", times=1)
    job: Job = send_bulk.delay(**NEWS).job
    deliver(job)
    assert job.state == "retrying"
    assert "2 sent, 1 put off of 3" in job.last_error
    assert outcomes()["john@example.com"] == "put off"
    assert Counter(reached(smtp)) == {"jane@example.com": 1, "zoe@example.com": 1}


def test_every_attempt_gives_a_mail_the_same_message_id_and_every_job_another() -> None:
    one = bulk.message_id(JOB_ID, "jane@example.com")
    assert one == bulk.message_id(JOB_ID, "jane@example.com")
    others = [bulk.message_id(JOB_ID, "john@example.com"), bulk.message_id(uuid.uuid4(), "jane@example.com")]
    assert one not in others


def test_recipients_are_kept_for_as_long_as_their_job(smtp: SmtpServer) -> None:
    job: Job = send_bulk.delay(**NEWS).job
    deliver(job)
    carry_on(mailing())
    assert cleanup.delete_recipients(2) == 2
    assert cleanup.delete_recipients(100) == 1
    assert {row.job_id for row in Recipient.objects.all()} == {job.pk}


# --- Unsubscribing ----------------------------------------------------------------------------------


def unsubscribe_path(smtp: SmtpServer, index: int = 0) -> str:
    link = smtp.mails[index].message["List-Unsubscribe"]
    assert re.fullmatch(r"<http://testserver/mail/unsubscribe/[\w.-]+/>", link)
    return str(link[1:-1]).removeprefix("http://testserver")


def test_a_mailing_carries_a_link_that_unsubscribes_by_one_click(smtp: SmtpServer) -> None:
    carry_on(mailing())
    mail = smtp.mails[0].message
    path = unsubscribe_path(smtp)
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    for kind in ("plain", "html"):
        body = mail.get_body((kind,))
        assert body is not None
        assert path in body.get_content()
    # As mail programs post it: no cookie, no token against forgery, no redirection (RFC 8058, 3.2).
    answer = Client(enforce_csrf_checks=True).post(path, {"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    assert "jane@example.com" in answer.content.decode()
    found = carry_on(mailing(job_id=uuid.uuid4()))
    assert found == {**dict.fromkeys(THREE, "sent"), "jane@example.com": "unsubscribed"}
    assert Counter(reached(smtp))["jane@example.com"] == 1


def test_looking_at_the_link_unsubscribes_nobody_and_the_button_does(smtp: SmtpServer) -> None:
    carry_on(mailing())
    path, client = unsubscribe_path(smtp), Client(enforce_csrf_checks=True)
    for method in (client.get, client.head, client.options, client.put):
        method(path)
        assert not Unsubscription.objects.exists()
    page = client.get(path)
    assert '<form class="form" method="post">' in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    for _ in range(2):
        assert "You get no more mailings" in client.post(path, {"List-Unsubscribe": "One-Click"}).content.decode()
    assert "You get no more mailings" in client.get(path).content.decode()
    assert [row.address for row in Unsubscription.objects.all()] == ["jane@example.com"]


@pytest.mark.parametrize("token", ["x", "amFuZQ.1.x", "a.b.c.d", "é"])
def test_a_forged_link_unsubscribes_nobody(token: str) -> None:
    answer = Client().post(f"/mail/unsubscribe/{token}/")
    assert answer.status_code == 404
    assert not Unsubscription.objects.exists()


def test_a_link_is_good_for_its_address_alone() -> None:
    mine, other = unsubscribing.link("a@example.com"), unsubscribing.link("b@example.com")
    value, rest = mine.rstrip("/").rpartition("/")[2].split(".", 1)
    forged = other.rstrip("/").rpartition("/")[2].split(".", 1)[0] + "." + rest
    assert value
    assert Client().post(f"/mail/unsubscribe/{forged}/").status_code == 404


@pytest.mark.parametrize("address", ["jane@example.com", "josé@exämple.com", "a+b@ab--cd.com", "用户@例子.世界"])
def test_a_link_names_the_address_it_was_made_for(address: str) -> None:
    token = unsubscribing.link(address).rstrip("/").rpartition("/")[2]
    assert unsubscribing.address_of(token) == address


def test_who_unsubscribes_from_mailings_still_gets_single_mails(smtp: SmtpServer, api: Api) -> None:
    unsubscribing.unsubscribe("jane@example.com")
    job = Job.objects.get(
        pk=api.post(
            "jobs", {"task": "mail.send_custom", "kwargs": {"to": THREE[0], "subject": "x", "body": "y"}}
        ).json()["id"]
    )
    deliver(job)
    assert reached(smtp) == ["jane@example.com"]
    assert smtp.mails[0].message["List-Unsubscribe"] is None


def test_a_mailing_to_none_but_unsubscribed_ends_well(smtp: SmtpServer) -> None:
    unsubscribing.unsubscribe("jane@example.com")
    assert carry_on(mailing("Jane@example.com")) == {"jane@example.com": "unsubscribed"}
    assert not smtp.mails


# --- Over HTTP --------------------------------------------------------------------------------------


def test_a_client_submits_a_mailing(api: Api, smtp: SmtpServer) -> None:
    answer = api.post("jobs", {"task": "mail.send_bulk", "kwargs": NEWS})
    assert answer.status_code == 201
    deliver(Job.objects.get(pk=answer.json()["id"]))
    assert reached(smtp) == THREE
    assert api.get(f"jobs/{answer.json()['id']}").json()["progress"]["message"] == "3 sent"


@pytest.mark.parametrize(
    "recipients, field, rule",
    [
        ([], "kwargs.recipients", "at least 1 item"),
        (["a@example.com"] * 1001, "kwargs.recipients", "at most 1000 items"),
        (["a@example.com", "nobody"], "kwargs.recipients.1", "'nobody' is not an email address"),
        (["a@example.com", 7], "kwargs.recipients.1", "valid string"),
        ("a@example.com", "kwargs.recipients", "valid array"),
    ],
)
def test_recipients_are_checked_one_by_one(api: Api, recipients: Any, field: str, rule: str) -> None:
    answer = api.post("jobs", {"task": "mail.send_bulk", "kwargs": {**NEWS, "recipients": recipients}})
    [(found, _, said)] = errors(answer)
    assert (answer.status_code, found) == (422, field)
    assert rule in said


def test_a_thousand_addresses_fit_into_one_job(api: Api) -> None:
    many = [f"a.rather.long.address.{number:04}@mail.department.example.com" for number in range(1000)]
    assert api.post("jobs", {"task": "mail.send_bulk", "kwargs": {**NEWS, "recipients": many}}).status_code == 201


def test_a_client_submits_ten_mailings_an_hour(api: Api) -> None:
    body = {"task": "mail.send_bulk", "kwargs": NEWS}
    assert [api.post("jobs", body).status_code for _ in range(11)] == [201] * 10 + [429]


# --- In the admin -----------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["", "jane", "jane@example.com", str(JOB_ID), "550", "x" * 300])
def test_the_admin_finds_recipients_by_job_and_address(smtp: SmtpServer, admin_client: Client, query: str) -> None:
    carry_on(mailing("jane@example.com"))
    page = admin_client.get(reverse("admin:mail_recipient_changelist"), {"q": query})
    assert page.status_code == 200
    assert ("jane@example.com</a>" in page.content.decode()) is (query not in {"550", "x" * 300})


def test_the_admin_lets_somebody_get_mailings_again(admin_client: Client) -> None:
    unsubscribing.unsubscribe("jane@example.com")
    [row] = Unsubscription.objects.all()
    assert "jane@example.com" in admin_client.get(reverse("admin:mail_unsubscription_changelist")).content.decode()
    admin_client.post(reverse("admin:mail_unsubscription_delete", args=[row.pk]), {"post": "yes"})
    assert not Unsubscription.objects.exists()
