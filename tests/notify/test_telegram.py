"""`notify.telegram`, against a stand-in for Telegram's bot API."""

import logging
import pickle
import socket
from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from jobs import Permanent, Snooze
from jobs.models import Job
from notify import telegram
from notify.checks import telegram_can_work
from notify.conf import TelegramConf
from notify.errors import NotifyError, TooSoon
from notify.tasks import MAX_TEXT, send_telegram
from tests.jobs.conftest import no_dispatcher_left
from tests.jobs.delivery import deliver
from tests.servers import TelegramServer, free_port
from tests.servers.telegram import TOKEN

__all__ = ["no_dispatcher_left"]


@pytest.fixture
def server(settings: Settings) -> Iterator[TelegramServer]:
    """The bot to which the settings lead."""
    with TelegramServer() as server:
        settings.TELEGRAM_BOT_TOKEN, settings.TELEGRAM_API_URL = TOKEN, server.url
        yield server


@pytest.mark.parametrize("chat", [4711, -1001234567890, "@night_shift"])
@pytest.mark.parametrize("text", ["Disk full", "Größe: 10 € 🎉\n<b>*_`", "x" * MAX_TEXT])
def test_a_message_arrives_letter_for_letter(server: TelegramServer, chat: int | str, text: str) -> None:
    assert send_telegram(chat, text) == f"message 1 to {chat}"
    assert server.messages == [(chat, text)]


@pytest.mark.parametrize("text", ["", " \n", "x" * (MAX_TEXT + 1)])
def test_a_text_that_telegram_never_takes_is_permanent_and_asks_nobody(server: TelegramServer, text: str) -> None:
    with pytest.raises(Permanent, match=f"this one has {len(text)}"):
        send_telegram(4711, text)
    assert server.requests == 0


@pytest.mark.parametrize(
    "status, description",
    [
        (403, "Forbidden: bot was blocked by the user"),
        (400, "Bad Request: chat not found"),
        (401, "Unauthorized"),
        (404, "Not Found"),
    ],
)
def test_what_telegram_refuses_is_permanent_and_says_why(server: TelegramServer, status: int, description: str) -> None:
    server.refuse(status, description)
    with pytest.raises(Permanent, match=description):
        send_telegram(4711, "Hi")
    assert server.requests == 1


def test_a_wrong_token_is_told_from_a_wrong_chat(server: TelegramServer, settings: Settings) -> None:
    settings.TELEGRAM_BOT_TOKEN = TOKEN.replace("abc", "xyz")
    with pytest.raises(Permanent, match=r"401 Unauthorized. Check TELEGRAM_BOT_TOKEN"):
        send_telegram(4711, "Hi")


def test_a_group_that_has_moved_is_named(server: TelegramServer) -> None:
    server.refuse(400, "Bad Request: group chat was upgraded", migrate_to_chat_id=-100123)
    with pytest.raises(Permanent, match="chat -5 has moved to -100123"):
        send_telegram(-5, "Hi")


@pytest.mark.parametrize("said, seconds", [(7, 7), (0, 1), (-5, 1), (10**9, 86_400)])
def test_too_many_messages_wait_as_long_as_telegram_says(server: TelegramServer, said: int, seconds: int) -> None:
    server.refuse(429, "Too Many Requests: retry later", retry_after=said)
    with pytest.raises(Snooze, match="Too Many Requests") as caught:
        send_telegram(4711, "Hi")
    assert caught.value.seconds == seconds


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"ok": false, "parameters": [1]}', b'{"parameters": {}}'])
def test_too_many_without_a_time_wait_half_a_minute(server: TelegramServer, body: bytes) -> None:
    server.answers.append((429, {}, body))
    with pytest.raises(Snooze) as caught:
        send_telegram(4711, "Hi")
    assert caught.value.seconds == 30


@pytest.mark.parametrize(
    "answer",
    [
        (500, {}, b'{"ok": false, "error_code": 500, "description": "Internal Server Error"}'),
        (502, {}, b"<html>Bad Gateway</html>"),
        (200, {}, b"<html>Log in</html>"),
        (200, {}, b"[]"),
        (200, {}, b'{"ok": true}'),
        (200, {}, b'{"ok": "yes"}'),
        None,
    ],
)
def test_what_is_no_answer_of_the_api_may_be_tried_again(
    server: TelegramServer, answer: tuple[int, dict[str, str], bytes] | None
) -> None:
    server.answers.append(answer)
    with pytest.raises(NotifyError) as caught:
        send_telegram(4711, "Hi")
    assert not caught.value.permanent
    assert server.requests == 1
    assert send_telegram(4711, "Hi") == "message 1 to 4711"


def test_nobody_who_listens_may_be_tried_again(server: TelegramServer, settings: Settings) -> None:
    settings.TELEGRAM_API_URL = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(NotifyError, match="out of reach") as caught:
        send_telegram(4711, "Hi")
    assert not caught.value.permanent


def test_a_silent_server_is_given_up_and_may_be_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        conf = TelegramConf(TOKEN, f"http://127.0.0.1:{listener.getsockname()[1]}", seconds=0.2)
        with pytest.raises(NotifyError, match=r"did not answer within 0\.2 s") as caught:
            telegram.send(conf, 4711, "Hi")
    assert not caught.value.permanent


def test_a_redirection_is_not_followed(server: TelegramServer) -> None:
    with TelegramServer() as other:
        server.answers.append((302, {"Location": f"{other.url}/bot{TOKEN}/sendMessage"}, b""))
        with pytest.raises(NotifyError):
            send_telegram(4711, "Hi")
        assert other.requests == 0


# --- The token --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("valkey")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fault", ["refused", "gone", "cut off", "malformed"])
def test_the_token_is_in_no_argument_error_traceback_or_log(
    server: TelegramServer, settings: Settings, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    match fault:
        case "refused":
            server.refuse(403, "Forbidden: bot was blocked by the user")
        case "gone":
            settings.TELEGRAM_API_URL = f"http://127.0.0.1:{free_port()}"
        case "cut off":
            server.answers.append(None)
        case "malformed":
            settings.TELEGRAM_BOT_TOKEN = f"{TOKEN}/../../../elsewhere?"
    with caplog.at_level(logging.DEBUG):
        job: Job = send_telegram.delay(4711, "Hi").job
        deliver(job)
    told = [job.args, job.kwargs, job.options, job.last_error, caplog.text]
    told += [(attempt.error, attempt.traceback) for attempt in job.attempts.all()]
    assert job.last_error
    assert TOKEN.partition(":")[2] not in str(told)
    assert TOKEN not in repr(TelegramConf(TOKEN))


@pytest.mark.usefixtures("valkey")
@pytest.mark.django_db(transaction=True)
def test_a_job_that_came_too_soon_loses_no_attempt_and_says_until_when(server: TelegramServer) -> None:
    server.refuse(429, "Too Many Requests: retry after 5", retry_after=5)
    job: Job = send_telegram.delay(4711, "Hi").job
    deliver(job)
    assert (job.state, job.attempt) == ("scheduled", 0)
    assert not server.messages


# --- The settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, value",
    [
        ("TELEGRAM_BOT_TOKEN", "abc"),
        ("TELEGRAM_BOT_TOKEN", f"{TOKEN}/../x"),
        ("TELEGRAM_BOT_TOKEN", f"{TOKEN}\r\nHost: elsewhere"),
    ],
)
def test_settings_that_cannot_work_are_found_at_start_and_named_by_the_job(
    server: TelegramServer, settings: Settings, name: str, value: str
) -> None:
    assert telegram_can_work(None) == []
    setattr(settings, name, value)
    [error] = telegram_can_work(None)
    assert error.id == "notify.E001"
    assert f"{name} " in error.msg
    assert TOKEN not in error.msg
    with pytest.raises(Permanent, match=f"{name} .*Restart the workers, then replay this job"):
        send_telegram(4711, "Hi")
    assert server.requests == 0


def test_without_a_bot_the_job_says_what_to_set(settings: Settings) -> None:
    settings.TELEGRAM_BOT_TOKEN = ""
    assert telegram_can_work(None) == []
    with pytest.raises(Permanent, match="No Telegram bot is configured: set TELEGRAM_BOT_TOKEN"):
        send_telegram(4711, "Hi")


@pytest.mark.parametrize("error", [NotifyError("later"), NotifyError("never", permanent=True), TooSoon("wait", 5)])
def test_errors_survive_the_way_between_processes(error: NotifyError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  Our own bytes.
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))
