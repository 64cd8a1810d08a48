"""What the settings mean to a mail server."""

import pytest
from django.test import override_settings

from mail import conf
from mail.errors import MailError
from mail.tasks import send
from tests.servers import SmtpServer

NEWS = {"kind": "custom", "to": "jane@example.com", "subject": "News", "body": "Hi"}


@pytest.mark.parametrize(
    "site, name",
    [
        ("https://www.example.com", "www.example.com"),
        ("http://localhost:8000", "localhost"),
        ("https://bücher.example", "xn--bcher-kva.example"),
        ("https://BÜCHER.example:8443", "xn--bcher-kva.example"),
        ("https://xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("https://straße.example", "xn--strae-oqa.example"),
        ("https://例子.世界", "xn--fsqu00a.xn--rhqv96g"),
        ("https://ab--cd.com", "ab--cd.com"),
        ("https://example.com.", "example.com"),
        ("http://192.0.2.7:8000", "[192.0.2.7]"),
        ("http://[2001:db8::1]:8000", "[IPv6:2001:db8::1]"),
        ("http://[2001:DB8:0:0::1]", "[IPv6:2001:db8::1]"),
        ("http://[fe80::1%25eth0]", "[IPv6:fe80::1]"),
        ("http://web_1:8000", "localhost"),
        ("https://☃.example", "localhost"),
    ],
)
def test_a_site_introduces_itself_by_a_name_that_servers_take(smtp: SmtpServer, site: str, name: str) -> None:
    with override_settings(FRONTEND_HOST=site):
        assert send(**NEWS) == "sent to jane@example.com"
    assert smtp.hellos == [name]
    assert name.isascii()


@override_settings(SMTP_HOST="mail.straße.example")
def test_a_server_outside_ascii_is_looked_up_by_its_name_of_today() -> None:
    assert conf.smtp_conf().host == "mail.xn--strae-oqa.example"


@pytest.mark.parametrize("host", ["mail_1", "192.0.2.7", "2001:db8::1", "Mail.Example.com."])
def test_any_other_name_of_a_server_stays_as_it_is(host: str) -> None:
    with override_settings(SMTP_HOST=host):
        assert conf.smtp_conf().host == host


@override_settings(SMTP_HOST="mail.☃.example")
def test_a_server_whose_name_is_none_is_named() -> None:
    with pytest.raises(MailError, match=r"SMTP_HOST='mail\.☃\.example' is not a host name") as caught:
        conf.smtp_conf()
    assert caught.value.permanent
