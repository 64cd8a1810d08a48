"""The servers of the tests do what the fixtures promise."""

import os
import smtplib
import ssl
import subprocess
import sys
from collections.abc import Callable
from email.message import EmailMessage

import psutil
import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.servers import Postgres, SeaweedFS, SmtpServer, Valkey
from tests.servers.base import Server
from tests.servers.ports import free_ports
from tests.waiting import NotInTime, always, wait_for


def test_a_valkey_without_disk_forgets_when_killed_and_keeps_its_port(valkey: Valkey) -> None:
    valkey.client.set("key", "value")
    valkey.kill()
    with pytest.raises(redis.ConnectionError):
        valkey.client.ping()
    valkey.start()
    assert valkey.client.get("key") is None


def test_a_paused_valkey_does_not_answer_until_resumed(valkey: Valkey) -> None:
    impatient = redis.Redis(port=valkey.port, socket_timeout=0.1, retry=Retry(NoBackoff(), 0))
    valkey.pause()
    with pytest.raises(redis.TimeoutError):
        impatient.ping()
    valkey.resume()
    assert wait_for(impatient.ping, passing_over=(redis.TimeoutError,))


def test_postgres_keeps_what_was_committed_when_killed(postgres: Postgres) -> None:
    name = postgres.create_database()
    postgres.execute("CREATE TABLE kept (n int)", name)
    postgres.execute("INSERT INTO kept VALUES (1)", name)
    postgres.kill()
    with pytest.raises(psycopg.OperationalError):
        postgres.execute("SELECT 1")
    postgres.start()
    assert postgres.execute("SELECT n FROM kept", name) == [(1,)]
    postgres.drop_database(name)


def test_seaweedfs_speaks_s3_and_keeps_objects_over_a_restart(seaweedfs: SeaweedFS) -> None:
    bucket = seaweedfs.create_bucket("kept")
    seaweedfs.client.put_object(Bucket=bucket, Key="a/b", Body=b"content")
    seaweedfs.restart()
    assert seaweedfs.client.get_object(Bucket=bucket, Key="a/b")["Body"].read() == b"content"


def test_a_port_is_given_to_no_other_process_though_nothing_listens_yet() -> None:
    first = free_ports(20)
    script = f"""
from tests.servers import ports
ports.FIRST, ports.LAST = {first}, {first + 30}
print(*(ports.free_port() for _ in range(5)))
"""
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True, timeout=60)
    given = [int(port) for port in answer.stdout.split()]
    assert len(set(given)) == 5
    assert set(given).isdisjoint(range(first, first + 20))


@pytest.mark.parametrize("name", ["valkey", "seaweedfs", "postgres"])
def test_no_server_can_be_reached_from_outside(request: pytest.FixtureRequest, name: str) -> None:
    server: Server = request.getfixturevalue(name)
    assert server._process is not None
    found = psutil.Process(server._process.pid).net_connections("inet")
    assert {one.laddr.ip for one in found if one.status == psutil.CONN_LISTEN} == {"127.0.0.1"}


def mail(recipient: str = "reader@example.com") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "site@example.com", recipient, "Grüße"
    message.set_content("Hello")
    return message


def test_smtp_keeps_mails_and_counts_connections(smtp: SmtpServer) -> None:
    with smtplib.SMTP("127.0.0.1", smtp.port) as client:
        client.send_message(mail())
        client.send_message(mail())
    assert [received.message["Subject"] for received in smtp.mails] == ["Grüße", "Grüße"]
    assert smtp.connections == 1


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_smtp_wants_encryption_and_login(make_smtp: Callable[..., SmtpServer], tls: str) -> None:
    smtp = make_smtp(tls=tls, login=("user", "password"))
    context = ssl.create_default_context(cafile=str(smtp.certificate))
    if tls == "implicit":
        client: smtplib.SMTP = smtplib.SMTP_SSL("127.0.0.1", smtp.port, context=context)
    else:
        client = smtplib.SMTP("127.0.0.1", smtp.port)
    with client:
        if tls == "starttls":
            client.starttls(context=context)
        with pytest.raises(smtplib.SMTPSenderRefused):
            client.send_message(mail())
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("user", "wrong")
        client.login("user", "password")
        client.send_message(mail())
    assert [(received.user, received.encrypted) for received in smtp.mails] == [("user", True)]


def test_smtp_refuses_as_told_and_only_as_often(smtp: SmtpServer) -> None:
    smtp.refuse("RCPT", "451 4.2.1 try later", times=1, recipient="reader@")
    with smtplib.SMTP("127.0.0.1", smtp.port) as client:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refusal:
            client.send_message(mail())
        client.send_message(mail())
    assert refusal.value.recipients["reader@example.com"][0] == 451
    assert len(smtp.mails) == 1


@pytest.mark.parametrize("step", ["MAIL", "DATA", "CONTENT"])
def test_smtp_hangs_up_as_told(smtp: SmtpServer, step: str) -> None:
    smtp.hang_up_at(step)
    client = smtplib.SMTP("127.0.0.1", smtp.port)
    with pytest.raises(smtplib.SMTPServerDisconnected):
        client.send_message(mail())
    client.close()
    assert smtp.mails == []


def test_smtp_falls_silent_as_told(smtp: SmtpServer) -> None:
    smtp.fall_silent_at("MAIL")
    client = smtplib.SMTP("127.0.0.1", smtp.port, timeout=0.2)
    with pytest.raises((TimeoutError, smtplib.SMTPServerDisconnected)):
        client.send_message(mail())
    client.close()
    wait_for(lambda: smtp.open_connections == 0)


def test_wait_for_returns_the_first_truthy_value() -> None:
    values = iter([0, "", None, 7])
    assert wait_for(lambda: next(values)) == 7


def test_wait_for_says_what_it_saw_last() -> None:
    with pytest.raises(NotInTime, match=r"Waited 0.05 s for the queue; last value: 0"):
        wait_for(lambda: 0, 0.05, what="the queue")


def test_wait_for_passes_over_only_the_errors_named() -> None:
    with pytest.raises(NotInTime, match="last error: KeyError"):
        wait_for(lambda: os.environ["MISSING"], 0.05, passing_over=(KeyError,))
    with pytest.raises(ZeroDivisionError):
        wait_for(lambda: 1 / 0, 0.05, passing_over=(KeyError,))


def test_always_says_when_it_ceased_to_hold() -> None:
    values = iter([1, 1, 0])
    with pytest.raises(AssertionError, match="quiet ceased to hold; value: 0"):
        always(lambda: next(values), 5, what="quiet")
