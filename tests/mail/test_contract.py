"""What every executor promises (`mail.executors.Executor`), whoever is on its other side."""

from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest

from mail.addresses import Address, parse
from mail.errors import MailError
from mail.messages import Message
from mail.mime import build
from mail.rendering import Rendered
from tests.mail.executors import OtherSide, SesSide, SmtpSide, hand_over, running_ses
from tests.servers import SmtpServer

SENDER = parse("night@example.com", "Nachtschicht, täglich")
JANE = parse("jane@example.com", "Jané")


@pytest.fixture(params=["smtp", "ses"])
def side(request: pytest.FixtureRequest) -> Iterator[OtherSide]:
    """Return the other side of each executor in turn."""
    if request.param == "smtp":
        server: SmtpServer = request.getfixturevalue("smtp")
        yield SmtpSide(server)
        server.start()
    else:
        with running_ses() as ses:
            yield SesSide(ses)


def message(to: Address = JANE, text: str = "Hello\n") -> EmailMessage:
    message = Message(to, "", "none")
    rendered = Rendered("Größe: 10 €", text, f"<p>{text}</p>")
    return build(message, rendered, sender=SENDER, message_id="id", now=datetime.now(UTC))


def send(side: OtherSide, to: Address = JANE, text: str = "Hello\n") -> None:
    hand_over(side, message(to, text), SENDER, to)


def failure(side: OtherSide, to: Address = JANE) -> MailError:
    with pytest.raises(MailError) as caught:
        send(side, to)
    return caught.value


def test_a_mail_arrives_letter_for_letter(side: OtherSide) -> None:
    text = "Grüße\n.a dot\n\nFrom here — 日本語\n" + "x" * 2000 + "\n"
    send(side, text=text)
    (mail,) = side.mails
    assert (mail.sender, mail.recipients) == ("night@example.com", ["jane@example.com"])
    assert mail.message["Subject"] == "Größe: 10 €"
    assert mail.message["To"] == "Jané <jane@example.com>"
    body = mail.message.get_body(("plain",))
    assert body is not None
    assert body.get_content().replace("\r\n", "\n") == text


def test_many_mails_arrive_in_order_each_once(side: OtherSide) -> None:
    for number in range(5):
        send(side, parse(f"reader{number}@example.com"))
    assert [mail.recipients for mail in side.mails] == [[f"reader{number}@example.com"] for number in range(5)]


def test_a_host_outside_ascii_is_reached_by_its_name_in_the_dns(side: OtherSide) -> None:
    send(side, parse("jane@exämple.com"))
    assert side.mails[0].recipients == ["jane@xn--exmple-cua.com"]


def test_a_mailbox_outside_ascii_is_sent_or_refused_for_good(side: OtherSide) -> None:
    jose = parse("josé@example.com")
    if side.takes_utf8:
        send(side, jose)
        assert side.mails[0].recipients == ["josé@example.com"]
    else:
        error = failure(side, jose)
        assert error.permanent
        assert "josé@example.com" in str(error)
        assert "SMTPUTF8 not supported" in str(error)


def test_a_final_refusal_is_permanent_and_says_who_and_why(side: OtherSide) -> None:
    side.refuse_for_good("nobody of that name", "jane@")
    error = failure(side)
    assert error.permanent
    assert "refused" in str(error)
    assert "jane@example.com" in str(error)
    assert "nobody of that name" in str(error)
    send(side, parse("john@example.com"))
    assert len(side.mails) == 1


def test_what_is_put_off_may_be_tried_again(side: OtherSide) -> None:
    side.put_off("too many of them")
    error = failure(side)
    assert not error.permanent
    assert "put off" in str(error)
    assert "too many of them" in str(error)
    side.behave()
    send(side)
    assert len(side.mails) == 1


def test_an_unknown_caller_is_refused_for_good_and_told_what_to_check(side: OtherSide) -> None:
    side.refuse_log_in()
    error = failure(side)
    assert error.permanent
    assert "Check S" in str(error)
    assert "another" not in str(error)


@pytest.mark.parametrize("fault", ["fall_silent", "hang_up", "stop"])
def test_what_does_not_answer_is_given_up_soon_and_may_be_tried_again(side: OtherSide, fault: str) -> None:
    send(side)
    getattr(side, fault)()
    error = failure(side)
    assert not error.permanent
    side.behave()
    send(side)
    assert len(side.mails) == 2


def test_words_of_the_other_side_are_shown_as_one_line(side: OtherSide) -> None:
    side.put_off("first\x07 second" + " and more" * 100)
    said = str(failure(side))
    assert "first second and more" in said
    assert said.isprintable()
    assert len(said) < 500
