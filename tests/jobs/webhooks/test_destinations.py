"""Where a webhook may lead."""

from ipaddress import ip_address, ip_network

import pytest
from pytest_django.fixtures import Settings

from jobs.webhooks.destinations import check_url, is_allowed, resolve
from jobs.webhooks.errors import WebhookError


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1"),
        *("169.254.169.254", "0.0.0.0", "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1"),  # noqa: S104
        *("::1", "::", "fe80::1", "fc00::1", "fd12:3456::1", "ff02::1", "2001:db8::1"),
        # Each leads to one of IPv4 that is private.
        *(
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
        ),
        *("fd00:ec2::254", "fec0::1"),
    ],
)
def test_a_private_address_is_refused(address: str) -> None:
    assert not is_allowed(ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_a_public_address_is_allowed(address: str) -> None:
    assert is_allowed(ip_address(address))


@pytest.mark.parametrize(
    "address, allowed", [("10.1.2.3", True), ("::ffff:10.1.2.3", True), ("10.2.0.1", False), ("::1", False)]
)
def test_a_network_of_the_settings_is_allowed_and_no_other(settings: Settings, address: str, allowed: bool) -> None:
    settings.JOBS_WEBHOOK_NETWORKS = (ip_network("10.1.0.0/16"), ip_network("fd00::/8"))
    assert is_allowed(ip_address(address)) is allowed


@pytest.mark.parametrize(
    "url, rule",
    [
        ("ftp://example.com/", "must begin with https:// or http://"),
        ("file:///etc/passwd", "must begin with"),
        ("gopher://example.com/", "must begin with"),
        ("example.com", "must begin with"),
        ("https://", "must name a host"),
        ("https:///path", "must name a host"),
        ("https://example.com:0/", "must name a host"),
        ("https://example.com:99999/", "cannot be read"),
        ("https://example.com:port/", "cannot be read"),
        ("https://[::1/", "cannot be read"),
        ("https://user@example.com/", "no user and password"),
        ("https://user:secret@example.com/", "no user and password"),
        ("https://example.com/a b", "printable ASCII"),
        ("https://exämple.com/", "printable ASCII"),
        ("https://example.com/\u202e", "printable ASCII"),
    ],
)
def test_what_is_no_url_of_a_webhook_is_refused_without_being_repeated(url: str, rule: str) -> None:
    with pytest.raises(WebhookError, match=rule) as caught:
        check_url(url)
    assert caught.value.permanent
    assert url not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://[::1]:8000/", "https://169.254.169.254/latest/meta-data/"]
)
def test_an_address_in_a_url_is_checked_when_it_is_written(url: str) -> None:
    with pytest.raises(WebhookError, match="no public address; JOBS_WEBHOOK_NETWORKS"):
        check_url(url)


# What a resolver of the system takes for an address, though it reads like none.
@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f.1", "127.1", "0177.0.0.1"])
def test_a_name_that_leads_to_a_private_address_is_refused(host: str) -> None:
    with pytest.raises(WebhookError):
        resolve(f"http://{host}/")


def test_a_host_without_an_address_is_asked_for_again() -> None:
    with pytest.raises(WebhookError, match=r"nowhere\.invalid has no address") as caught:
        resolve("https://nowhere.invalid/")
    assert not caught.value.permanent


def test_the_query_is_kept_and_the_fragment_is_not(settings: Settings) -> None:
    settings.JOBS_WEBHOOK_NETWORKS = (ip_network("127.0.0.0/8"),)
    found = resolve("http://127.0.0.1:8080/a?b=c#d")
    assert (found.address, found.port, found.target, found.is_https) == ("127.0.0.1", 8080, "/a?b=c", False)
