"""What Amazon SES alone can say, and the settings that lead to it."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django.fixtures import Settings

from jobs import Permanent
from jobs.models import Job
from mail import ses
from mail.addresses import parse
from mail.checks import executor_can_work
from mail.conf import SesConf
from mail.errors import MailError
from mail.tasks import send
from tests import forks
from tests.jobs.delivery import deliver
from tests.mail.executors import SesSide, running_ses
from tests.mail.test_contract import failure, message
from tests.servers import SesServer

NEWS = {"kind": "custom", "to": "jane@example.com", "subject": "News", "body": "Hi"}


@pytest.fixture
def server() -> Iterator[SesServer]:
    with running_ses() as server:
        yield server


@pytest.fixture
def configured(server: SesServer, settings: Settings) -> SesServer:
    """The SES to which the settings lead."""
    settings.MAIL_EXECUTOR = "ses"
    settings.SES_REGION, settings.SES_ENDPOINT = server.region, server.url
    settings.SES_ACCESS_KEY, settings.SES_SECRET_KEY = server.access_key, server.secret_key
    return server


#: https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html#API_SendEmail_Errors, and those common to
#: Amazon's services.
PASSING = [
    (429, "TooManyRequestsException"),
    (400, "LimitExceededException"),
    (400, "AccountSuspendedException"),
    (400, "SendingPausedException"),
    (400, "ThrottlingException"),
    (400, "Throttling"),
    (400, "RequestExpired"),
    (403, "ExpiredTokenException"),
    (408, "RequestTimeoutException"),
    (500, "InternalFailure"),
    (502, "BadGateway"),
    (503, "ServiceUnavailable"),
    (599, "WhoKnows"),
]
FINAL = [
    (400, "MessageRejected"),
    (400, "MailFromDomainNotVerifiedException"),
    (400, "BadRequestException"),
    (404, "NotFoundException"),
    (400, "ValidationError"),
    (403, "AccessDeniedException"),
    (403, "UnrecognizedClientException"),
    (403, "InvalidSignatureException"),
    (418, "WhoKnows"),
]


@pytest.mark.parametrize("status, code", PASSING)
def test_a_refusal_because_of_when_may_be_tried_again(server: SesServer, status: int, code: str) -> None:
    server.refuse(status, code, "Later.")
    error = failure(SesSide(server))
    assert (error.permanent, str(error)) == (
        False,
        f"Amazon SES in eu-test-1 put off the mail to jane@example.com: {code}: Later.",
    )


@pytest.mark.parametrize("status, code", FINAL)
def test_a_refusal_because_of_what_is_final(server: SesServer, status: int, code: str) -> None:
    server.refuse(status, code, "Never.")
    error = failure(SesSide(server))
    assert error.permanent
    assert f"refused the mail to jane@example.com: {code}: Never." in str(error)


def test_a_clock_that_is_wrong_is_no_wrong_key(server: SesServer) -> None:
    server.refuse(403, "InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier than …")
    assert not failure(SesSide(server)).permanent


@pytest.mark.parametrize(
    "status, body", [(200, b"{}"), (200, b"<html>Log in</html>"), (302, b""), (502, b"<html>Bad Gateway</html>")]
)
def test_an_answer_that_is_not_of_ses_is_no_success(server: SesServer, status: int, body: bytes) -> None:
    server.answer_instead = (status, body)
    assert not failure(SesSide(server)).permanent
    assert not server.mails


def test_one_attempt_is_one_request(server: SesServer) -> None:
    server.refuse(503, "ServiceUnavailable")
    failure(SesSide(server))
    assert server.requests == 1


def test_a_region_that_can_be_none_is_named() -> None:
    with pytest.raises(MailError, match="not a region"):
        ses.deliver(SesConf("not a region"), message(), sender=parse("a@example.com"), recipient=parse("b@example.com"))


def test_without_any_credentials_the_error_says_which_to_set(
    server: SesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "none")
    monkeypatch.setenv("AWS_CONFIG_FILE", "none")
    conf = replace(SesSide(server).conf(), access_key="", secret_key="")
    with pytest.raises(MailError, match="Set SES_ACCESS_KEY and SES_SECRET_KEY") as caught:
        ses.deliver(conf, message(), sender=parse("a@example.com"), recipient=parse("b@example.com"))
    assert not caught.value.permanent


def test_credentials_of_the_machine_do_as_well(server: SesServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
    # Another read time-out makes it another client than that of the test before.
    conf = replace(SesSide(server).conf(), access_key="", secret_key="", read_seconds=5)
    ses.deliver(conf, message(), sender=parse("night@example.com"), recipient=parse("b@example.com"))
    assert len(server.mails) == 1


# --- The task, and its settings -------------------------------------------------------------------


def test_the_setting_chooses_ses(configured: SesServer) -> None:
    assert send(**NEWS) == "sent to jane@example.com"
    assert configured.mails[0].message["Subject"] == "News"


def test_a_message_that_ses_rejects_is_permanent(configured: SesServer) -> None:
    configured.refuse(400, "MessageRejected", "Email address is not verified.")
    with pytest.raises(Permanent, match=r"MessageRejected: Email address is not verified"):
        send(**NEWS)


@pytest.mark.django_db
def test_a_mail_of_a_suspended_account_waits_for_days(configured: SesServer) -> None:
    configured.refuse(400, "AccountSuspendedException", "Sending suspended for this account.")
    job: Job = send.delay(**NEWS).job
    Job.objects.filter(pk=job.pk).update(attempt=20)
    deliver(job)
    assert (job.state, job.attempt) == ("retrying", 21)
    assert "AccountSuspendedException" in job.last_error


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"SES_REGION": ""}, "SES_REGION='' is not valid"),
        ({"SES_REGION": "eu west"}, "SES_REGION='eu west' is not valid"),
        ({"SES_SECRET_KEY": ""}, "SES_SECRET_KEY is missing"),
        ({"SES_ACCESS_KEY": ""}, "SES_ACCESS_KEY is missing"),
    ],
)
def test_settings_that_cannot_work_are_found_at_start_and_named_by_the_job(
    configured: SesServer, settings: Settings, wrong: dict[str, str], said: str
) -> None:
    assert executor_can_work(None) == []
    for name, value in wrong.items():
        setattr(settings, name, value)
    [error] = executor_can_work(None)
    assert error.id == "mail.E001"
    assert error.msg.startswith(said)
    with pytest.raises(Permanent, match=said):
        send(**NEWS)
    settings.MAIL_EXECUTOR = "smtp"
    assert executor_can_work(None) == []


def started(**variables: str) -> subprocess.CompletedProcess[str]:
    """Start a process that sends mail, and have it say whether boto3 is loaded."""
    code = (
        "import sys, project\n"
        "project.celery_app.loader.import_default_modules()\n"
        "from mail import executors\n"
        "print('boto3' in sys.modules)\n"
        "executors.configured()\n"
        "print('boto3' in sys.modules)"
    )
    environment = {"DJANGO_SETTINGS_MODULE": "project.settings", "DEBUG": "true", "BROKER_URL": "ledger://"}
    return forks.run("-c", code, environment={**environment, **variables})


def test_boto3_is_loaded_by_who_sends_through_ses_alone() -> None:
    assert started(SMTP_HOST="mail.example.com").stdout.split() == ["False", "False"]
    assert started(MAIL_EXECUTOR="ses", SES_REGION="eu-west-1").stdout.split() == ["False", "True"]


@pytest.mark.parametrize(
    "variables, said",
    [
        ({"MAIL_EXECUTOR": "ses"}, "SES_REGION: required where MAIL_EXECUTOR is ses"),
        (
            {"SES_ENDPOINT": "https://host/path"},
            "SES_ENDPOINT='https://host/path' is not valid: it must be scheme and host",
        ),
        ({"MAIL_EXECUTOR": "sendgrid"}, "MAIL_EXECUTOR='sendgrid' is not valid: it must be one of smtp, ses"),
    ],
)
def test_no_process_starts_with_an_executor_that_is_none(variables: dict[str, str], said: str) -> None:
    assert f"{ImproperlyConfigured.__name__}: {said}" in started(**variables).stderr
