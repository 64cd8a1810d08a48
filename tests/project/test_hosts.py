"""The variables that say by which names the site is reached, and through whom."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given, strategies as st
from pytest_django import Settings

from project import hosts
from project.checks import check_proxies

Variable = Callable[[str], None]


@pytest.fixture
def variable(monkeypatch: pytest.MonkeyPatch) -> Variable:
    """Set the variable X."""
    return lambda value: monkeypatch.setenv("X", value)


@pytest.mark.parametrize(
    "given,understood",
    [
        ("https://example.com/", "https://example.com"),
        ("HTTPS://Example.COM:443", "https://example.com"),
        ("http://example.com:8000/", "http://example.com:8000"),
        ("http://example.com:443", "http://example.com:443"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("http://192.0.2.7", "http://192.0.2.7"),
        ("http://[2001:DB8::1]:8000", "http://[2001:db8::1]:8000"),
    ],
)
def test_a_site_is_understood_however_its_address_is_spelled(variable: Variable, given: str, understood: str) -> None:
    variable(given)
    assert hosts.site("X", "") == understood


@pytest.mark.parametrize(
    "value,shown",
    [
        ("https://example.com/blog", "X='https://example.com/blog' is not valid: it must be scheme and host alone"),
        ("https://example.com/blog/", "X='https://example.com/blog/' is not valid: it must be scheme and host alone"),
        ("https://example.com//", "X='https://example.com//' is not valid: it must be scheme and host alone"),
        ("https://example.com?a=b", "X='https://example.com?a=b' is not valid: it must be scheme and host alone"),
        ("https://example.com/#a", "X='https://example.com/#a' is not valid: it must be scheme and host alone"),
        ("https://jane:hush@example.com", "X='https://…@example.com' is not valid: it must be scheme and host alone"),
        ("https://jane:hush@", "X='https://…@' is not valid: it must be an address whose host can be called"),
        ("https://*", "X='https://*' is not valid"),
        ("https://", "X='https://' is not valid"),
        ("https:///blog", "X='https:///blog' is not valid"),
        ("https://example.com:65536", "X='https://example.com:65536' is not valid"),
        ("https://[2001:db8::1", "X='https://[2001:db8::1' is not valid"),
        ("https://exa mple.com", "X='https://exa mple.com' is not valid"),
    ],
)
def test_an_address_that_half_the_links_would_not_work_with_is_refused(
    variable: Variable, value: str, shown: str
) -> None:
    variable(value)
    with pytest.raises(ImproperlyConfigured) as refused:
        hosts.site("X", "")
    assert str(refused.value).startswith(shown)
    assert "hush" not in str(refused.value)


def test_allowed_hosts_are_spelled_as_requests_spell_them(variable: Variable) -> None:
    variable(".Bücher.example,::1,[2001:db8::1],192.0.2.7,example.com.,*")
    spelled = [".xn--bcher-kva.example", "[::1]", "[2001:db8::1]", "192.0.2.7", "example.com", "*"]
    assert hosts.allowed("X", []) == spelled


@pytest.mark.parametrize(
    "value",
    [
        "*.example.com",
        "https://example.com",
        "example.com:8000",
        "example.com/blog",
        ".",
        "..",
        "exa mple.com",
        "[]",
        " , ",
    ],
)
def test_a_name_that_no_request_could_have_is_refused(variable: Variable, value: str) -> None:
    variable(value)
    with pytest.raises(ImproperlyConfigured, match="is not valid: it must be names between commas"):
        hosts.allowed("X", [])


@pytest.mark.parametrize("value", ["10.0.0.0/8, 192.0.2.7", "2001:db8::/32", "*", ""])
def test_proxies_are_addresses_and_networks(variable: Variable, value: str) -> None:
    variable(value)
    assert hosts.proxies("X") == [one.strip() for one in value.split(",") if one]


@pytest.mark.parametrize("value", ["proxy.internal", "10.0.0.1/8", "127.0.0.1,*", "10.0.0.0/33", "10.0.0.", "[::1]"])
def test_what_uvicorn_would_silently_trust_nobody_for_is_refused(variable: Variable, value: str) -> None:
    variable(value)
    with pytest.raises(ImproperlyConfigured, match="addresses and networks between commas"):
        hosts.proxies("X")


READERS: tuple[Callable[[], object], ...] = (
    lambda: hosts.site("X", "http://a"),
    lambda: hosts.allowed("X", ["a"]),
    lambda: hosts.proxies("X"),
)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for value in (text, f"https://{text}"):
            patch.setenv("X", value)
            for read in READERS:
                with suppress(ImproperlyConfigured):
                    read()


@pytest.mark.parametrize(
    "behind_proxy,proxies,warnings",
    [
        (False, [], []),
        (False, ["10.0.0.0/8"], []),
        (True, [], ["project.W001"]),
        (True, ["10.0.0.0/8"], []),
        (True, ["127.0.0.1"], []),
        (True, ["*"], ["project.W002"]),
    ],
)
def test_limits_counted_for_the_wrong_visitor_are_warned_of(
    settings: Settings, behind_proxy: bool, proxies: list[str], warnings: list[str]
) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if behind_proxy else None
    settings.FORWARDED_ALLOW_IPS = proxies
    assert [warning.id for warning in check_proxies()] == warnings


def test_the_address_of_another_server_may_be_left_out_and_has_no_path(variable: Variable) -> None:
    assert hosts.server("X", "") == ""
    assert hosts.server("X", "https://api.example.com") == "https://api.example.com"
    variable("https://API.example.com:443/")
    assert hosts.server("X", "") == "https://api.example.com"
    variable("https://api.example.com/v2")
    with pytest.raises(ImproperlyConfigured, match="each call has a path of its own"):
        hosts.server("X", "")
