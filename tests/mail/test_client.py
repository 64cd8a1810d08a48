"""The SMTP client, against servers that misbehave."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest

from mail.addresses import parse
from mail.client import SmtpClient, deliver, disconnect
from mail.conf import SmtpConf
from mail.errors import MailError
from mail.messages import Message
from mail.mime import build
from mail.rendering import Rendered
from tests.servers import SmtpServer, free_port
from tests.waiting import wait_for

SENDER = parse("night@example.com")
JANE = parse("jane@example.com")
MakeSmtp = Callable[..., SmtpServer]


def conf(server: SmtpServer, **changes: object) -> SmtpConf:
    defaults = SmtpConf(host="127.0.0.1", port=server.port, tls=False, reply_seconds=2, delivery_seconds=5)
    return replace(defaults, **changes)  # type: ignore[arg-type]  # The test names the fields.


def message(to: str = "jane@example.com") -> EmailMessage:
    message = Message(parse(to), "", "none")
    rendered = Rendered("Hello", ".one line with a dot in front\n", "<p>Hi</p>")
    return build(message, rendered, sender=SENDER, message_id="id", now=datetime.now(UTC))


_opened: list[SmtpClient] = []


@pytest.fixture(autouse=True)
def _close_what_was_opened() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


def client_of(server: SmtpConf) -> SmtpClient:
    _opened.append(SmtpClient(server))
    return _opened[-1]


def send(client: SmtpClient, to: str = "jane@example.com") -> None:
    client.send(message(to), sender=SENDER, recipient=parse(to))


def failure(client: SmtpClient, to: str = "jane@example.com") -> MailError:
    with pytest.raises(MailError) as caught:
        send(client, to)
    return caught.value


# --- One connection -------------------------------------------------------------------------------


def test_a_mail_arrives_with_its_envelope(smtp: SmtpServer) -> None:
    send(client_of(conf(smtp)))
    (mail,) = smtp.mails
    assert (mail.sender, mail.recipients) == ("night@example.com", ["jane@example.com"])
    assert mail.message["Subject"] == "Hello"
    assert b"\r\n.one line with a dot in front\r\n" in mail.content


def test_many_mails_share_one_connection(smtp: SmtpServer) -> None:
    client = client_of(conf(smtp))
    for _ in range(5):
        send(client)
    assert len(smtp.mails) == 5
    assert smtp.connections == 1


def test_a_connection_the_server_dropped_is_renewed_without_a_failure(smtp: SmtpServer) -> None:
    client = client_of(conf(smtp))
    send(client)
    smtp.drop_connections()
    wait_for(lambda: smtp.open_connections == 0)
    send(client)
    assert [mail.connection for mail in smtp.mails] == [1, 2]


def test_a_connection_the_server_closes_with_421_is_renewed(smtp: SmtpServer) -> None:
    client = client_of(conf(smtp))
    send(client)
    smtp.refuse("MAIL", "421 4.4.2 idle too long", times=1)
    send(client)
    assert [mail.connection for mail in smtp.mails] == [1, 2]


def test_a_connection_that_lay_idle_is_not_trusted(smtp: SmtpServer) -> None:
    client = client_of(conf(smtp, idle_seconds=0.05))
    send(client)
    idle_from = time.monotonic()
    wait_for(lambda: time.monotonic() - idle_from > 0.05)
    send(client)
    assert smtp.connections == 2


def test_a_restarted_server_is_found_again(smtp: SmtpServer) -> None:
    client = client_of(conf(smtp))
    send(client)
    smtp.restart()
    send(client)
    assert len(smtp.mails) == 2


def test_each_thread_has_a_connection_and_keeps_it(smtp: SmtpServer) -> None:
    server = conf(smtp)

    def twice() -> None:
        for _ in range(2):
            deliver(server, message(), sender=SENDER, recipient=JANE)
        disconnect()

    threads = [threading.Thread(target=twice) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(smtp.mails) == 6
    assert smtp.connections == 3


def test_another_server_in_the_settings_gets_a_connection_of_its_own(smtp: SmtpServer, make_smtp: MakeSmtp) -> None:
    other = make_smtp()
    for server in (smtp, other):
        deliver(conf(server), message(), sender=SENDER, recipient=JANE)
    assert (len(smtp.mails), len(other.mails)) == (1, 1)
    wait_for(lambda: smtp.open_connections == 0)


# --- Refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "CONTENT"])
@pytest.mark.parametrize("reply,permanent", [("550 5.1.1 no such user", True), ("451 4.7.1 later", False)])
def test_a_refusal_is_final_exactly_for_5xx(smtp: SmtpServer, step: str, reply: str, permanent: bool) -> None:
    smtp.refuse(step, reply, times=1)
    client = client_of(conf(smtp))
    error = failure(client)
    assert error.permanent is permanent
    assert ("refused" if permanent else "put off") in str(error)
    assert reply in str(error)
    assert f"127.0.0.1:{smtp.port}" in str(error)
    send(client)
    assert len(smtp.mails) == 1


def test_a_recipient_refused_for_good_costs_no_connection(smtp: SmtpServer) -> None:
    smtp.refuse("RCPT", "550 5.1.1 no such user", recipient="nobody@")
    client = client_of(conf(smtp))
    send(client)
    assert "the recipient nobody@example.com" in str(failure(client, "nobody@example.com"))
    send(client)
    assert smtp.connections == 1


def test_a_server_that_says_later_gets_a_new_connection_next_time(smtp: SmtpServer) -> None:
    smtp.refuse("MAIL", "452 4.5.3 too many mails on this connection", times=1)
    client = client_of(conf(smtp))
    failure(client)
    send(client)
    assert smtp.connections == 2


def test_a_reply_with_control_characters_is_shown_as_one_line(smtp: SmtpServer) -> None:
    smtp.refuse("RCPT", "550-first line\r\n550 second\x07line", times=1)
    assert str(failure(client_of(conf(smtp)))).endswith("550 first line second line")


def test_a_mailbox_outside_ascii_is_sent_where_the_server_can(smtp: SmtpServer) -> None:
    send(client_of(conf(smtp)), "josé@exämple.com")
    assert smtp.mails[0].recipients == ["josé@xn--exmple-cua.com"]


NOT_KNOWN = "502 5.5.2 command not known"


@pytest.mark.parametrize("answer", ["250 smtp.test", NOT_KNOWN], ids=["no extension", "HELO only"])
@pytest.mark.parametrize("sender", ["night@example.com", "nächt@example.com"])
@pytest.mark.parametrize("recipient", ["josé@example.com", "用户@例子.世界", "😀@example.com"])
def test_a_mailbox_outside_ascii_is_refused_for_good_where_the_server_cannot(
    smtp: SmtpServer, answer: str, sender: str, recipient: str
) -> None:
    smtp.refuse("EHLO", answer)
    client = client_of(conf(smtp))
    with pytest.raises(MailError, match="SMTPUTF8 not supported") as caught:
        client.send(message(recipient), sender=parse(sender), recipient=parse(recipient))
    assert caught.value.permanent
    assert not smtp.mails


def test_a_sender_outside_ascii_is_refused_for_good_where_the_server_cannot(smtp: SmtpServer) -> None:
    smtp.refuse("EHLO", NOT_KNOWN)
    with pytest.raises(MailError, match="SMTPUTF8 not supported") as caught:
        client_of(conf(smtp)).send(message(), sender=parse("nächt@example.com"), recipient=JANE)
    assert caught.value.permanent


@pytest.mark.parametrize(
    "wanted, said", [({"tls": True}, "STARTTLS"), ({"user": "night", "password": "s3cret"}, "SMTP AUTH")]
)
def test_what_a_server_that_knows_helo_only_cannot_do_is_permanent(
    smtp: SmtpServer, wanted: dict[str, object], said: str
) -> None:
    smtp.refuse("EHLO", NOT_KNOWN)
    error = failure(client_of(conf(smtp, **wanted)))
    assert error.permanent
    assert f"{said} extension not supported" in str(error)


def test_a_server_that_knows_helo_only_takes_a_mail(smtp: SmtpServer) -> None:
    smtp.refuse("EHLO", NOT_KNOWN)
    send(client_of(conf(smtp)))
    assert len(smtp.mails) == 1


# --- Broken conversations ---------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["EHLO", "RCPT", "DATA", "CONTENT"])
def test_a_server_that_hangs_up_may_be_tried_again(smtp: SmtpServer, step: str) -> None:
    smtp.hang_up_at(step)
    assert not failure(client_of(conf(smtp))).permanent


@pytest.mark.parametrize("step", ["EHLO", "MAIL", "RCPT", "DATA", "CONTENT"])
def test_a_silent_server_is_given_up_in_time_and_may_be_tried_again(smtp: SmtpServer, step: str) -> None:
    smtp.fall_silent_at(step)
    started = time.monotonic()
    assert not failure(client_of(conf(smtp, reply_seconds=0.2))).permanent
    # Unless told otherwise it waits 10 s.
    assert time.monotonic() - started < 8
    smtp.behave()
    send(client_of(conf(smtp)))


def test_a_server_that_is_slow_at_every_step_is_given_up_after_the_whole_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = client_of(SmtpConf("127.0.0.1", listener.getsockname()[1], tls=False, delivery_seconds=0.3))
        assert "timed out" in str(failure(client))


def test_nobody_listening_may_be_tried_again() -> None:
    error = failure(client_of(SmtpConf("127.0.0.1", free_port(), tls=False)))
    assert not error.permanent
    assert "refused" in str(error)


def test_a_host_that_does_not_exist_may_be_tried_again() -> None:
    error = failure(client_of(SmtpConf("mail.invalid", 25, tls=False)))
    assert not error.permanent
    assert "The mail server mail.invalid:25" in str(error)


@pytest.mark.parametrize("host", ["mail..example", "x" * 64 + ".example", ".example"])
def test_a_host_that_nobody_can_be_asked_for_is_permanent(host: str) -> None:
    error = failure(client_of(SmtpConf(host, 25, tls=False)))
    assert error.permanent
    assert "Check SMTP_HOST" in str(error)


# --- TLS and log-in -----------------------------------------------------------------------------------


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> Callable[[SmtpServer], SmtpServer]:
    """Trust a test server's authority, as the operating system's store would."""

    def trust(server: SmtpServer) -> SmtpServer:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        return server

    return trust


def test_starttls_and_login(make_smtp: MakeSmtp, trusting: Callable[[SmtpServer], SmtpServer]) -> None:
    server = trusting(make_smtp(tls="starttls", login=("night", "s3cret")))
    send(client_of(conf(server, tls=True, user="night", password="s3cret")))
    (mail,) = server.mails
    assert (mail.encrypted, mail.user) == (True, "night")


def test_implicit_tls(
    make_smtp: MakeSmtp, trusting: Callable[[SmtpServer], SmtpServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = trusting(make_smtp(tls="implicit"))
    monkeypatch.setattr("mail.conf.IMPLICIT_TLS_PORT", server.port)
    send(client_of(conf(server, tls=True)))
    assert server.mails[0].encrypted


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_certificate_nobody_vouches_for_is_refused(
    make_smtp: MakeSmtp, monkeypatch: pytest.MonkeyPatch, tls: str
) -> None:
    server = make_smtp(tls=tls)
    if tls == "implicit":
        monkeypatch.setattr("mail.conf.IMPLICIT_TLS_PORT", server.port)
    assert "has no valid certificate" in str(failure(client_of(conf(server, tls=True))))
    assert not server.mails


def test_a_certificate_for_another_name_is_refused(
    make_smtp: MakeSmtp, trusting: Callable[[SmtpServer], SmtpServer]
) -> None:
    server = trusting(make_smtp(tls="starttls"))
    assert "certificate" in str(failure(client_of(conf(server, tls=True, host="127.1"))))


def test_without_starttls_nothing_is_sent_in_the_clear(smtp: SmtpServer) -> None:
    error = failure(client_of(conf(smtp, tls=True, user="night", password="s3cret")))
    assert error.permanent
    assert "STARTTLS extension not supported" in str(error)
    assert not smtp.mails


def test_a_wrong_password_is_final_and_not_shown(
    make_smtp: MakeSmtp, trusting: Callable[[SmtpServer], SmtpServer]
) -> None:
    server = trusting(make_smtp(tls="starttls", login=("night", "right")))
    client = client_of(conf(server, tls=True, user="night", password="wr0ng"))
    error = failure(client)
    assert error.permanent
    assert "refused the log-in as 'night': 535" in str(error)
    assert "Check SMTP_USER and SMTP_PASSWORD" in str(error)
    assert "wr0ng" not in f"{error!r}{client.conf!r}"


def test_a_log_in_put_off_may_be_tried_again(make_smtp: MakeSmtp, trusting: Callable[[SmtpServer], SmtpServer]) -> None:
    server = trusting(make_smtp(tls="starttls", login=("night", "right")))
    server.refuse("AUTH", "454 4.7.0 later")
    assert not failure(client_of(conf(server, tls=True, user="night", password="right"))).permanent


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
@pytest.mark.parametrize(
    "user, password", [("night", "pässword"), ("nächt", "s3cret"), ("用户", "密码🔑"), ("night", "p\udce4ssword")]
)
def test_a_user_and_a_password_outside_ascii_log_in(
    make_smtp: MakeSmtp, mechanism: str, user: str, password: str
) -> None:
    server = make_smtp(login=(user, password), mechanism=mechanism)
    send(client_of(conf(server, user=user, password=password)))
    assert [mail.user for mail in server.mails] == [user]


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_a_wrong_password_outside_ascii_is_final(make_smtp: MakeSmtp, mechanism: str) -> None:
    server = make_smtp(login=("night", "right"), mechanism=mechanism)
    error = failure(client_of(conf(server, user="night", password="pässword")))
    assert error.permanent
    assert "refused the log-in as 'night': 535" in str(error)
    assert "pässword" not in str(error)


def test_a_log_in_that_server_and_client_do_not_share_is_final(make_smtp: MakeSmtp) -> None:
    server = make_smtp(login=("night", "right"), mechanism="GSSAPI")
    error = failure(client_of(conf(server, user="night", password="right")))
    assert error.permanent
    assert "cannot log us in: No suitable authentication method found" in str(error)


def test_a_log_in_that_never_ends_is_given_up() -> None:
    def ask(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            connection.sendall(b"220 smtp.test\r\n")
            for line in lines:
                connection.sendall(b"250-smtp.test\r\n250 AUTH LOGIN\r\n" if line.startswith(b"ehlo") else b"334 \r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=ask, args=(listener,))
        thread.start()
        server = SmtpConf("127.0.0.1", listener.getsockname()[1], user="night", password="s3cret", tls=False)
        error = failure(client_of(server))
        thread.join(5)
    assert error.permanent
    assert "LOGIN does not end" in str(error)
