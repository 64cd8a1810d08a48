"""Where a webhook may lead: public addresses, and those networks that the settings allow.

Whoever may write a URL here could else have the worker ask servers that only it can reach: the metadata of its
machine, a database's console. So the name is resolved once, every address it has is checked, and the connection goes to
a checked one: a name that answers otherwise a moment later leads nowhere else.
"""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from jobs.webhooks.errors import WebhookError

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: By this prefix a translator (NAT64) reaches any IPv4 address, private ones as well (RFC 6052, 2.1).
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL in its parts, with the address that its host has been found to have and may be asked at.

    Attributes:
        target: path and query, as the request says them.
    """

    is_https: bool
    host: str
    port: int
    target: str
    address: str


def check_url(url: str) -> SplitResult:
    """Return a URL in its parts, without looking its host up.

    Raises:
        WebhookError: it is no URL that a webhook can have, or its host is an address that is not allowed.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _wrong("it cannot be read") from None
    if parts.scheme not in _PORTS:
        raise _wrong("it must begin with https:// or http://")
    if not parts.hostname or port == 0:
        raise _wrong("it must name a host")
    if parts.username is not None or parts.password is not None:
        raise _wrong("it must hold no user and password")
    if any(sign.isspace() or not sign.isprintable() for sign in url) or not url.isascii():
        raise _wrong(
            "it must be of printable ASCII without spaces; write other signs with %, and other hosts in punycode"
        )
    try:
        literal = ipaddress.ip_address(parts.hostname)
    except ValueError:
        return parts
    _check_address(parts.hostname, literal)
    return parts


def shown_address(url: str) -> str:
    """Return as much of a webhook's URL as anybody may see: what follows the host may be a secret."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}/…"


def resolve(url: str) -> Destination:
    """Return where a request to a URL goes.

    Raises:
        WebhookError: as `check_url`; or one of the host's addresses is not allowed; or, not for good, it has none now.
    """
    parts = check_url(url)
    host, port = str(parts.hostname), parts.port or _PORTS[parts.scheme]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise WebhookError(f"{host} has no address: {exc}.") from None
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        # An address of one's own link has its interface behind a %.
        _check_address(host, ipaddress.ip_address(address.partition("%")[0]))
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Destination(parts.scheme == "https", host, port, target, addresses[0])


def is_allowed(address: _Address) -> bool:
    """Return whether a webhook may be sent to an address: a public one, or one of `JOBS_WEBHOOK_NETWORKS`."""
    if any(address.version == network.version and address in network for network in settings.JOBS_WEBHOOK_NETWORKS):
        return True
    inner = _inner(address)
    if inner is not None:
        return is_allowed(inner)
    was_local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    return address.is_global and not address.is_multicast and not was_local


def _inner(address: _Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that one of IPv6 leads to, where it is of such a kind."""
    if not isinstance(address, ipaddress.IPv6Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def _check_address(host: str, address: _Address) -> None:
    if not is_allowed(address):
        shown = host if host == str(address) else f"{host} ({address})"
        raise WebhookError(
            f"{shown} is no public address; JOBS_WEBHOOK_NETWORKS can allow its network.", permanent=True
        )


def _wrong(rule: str) -> WebhookError:
    # Without the URL: Slack's holds a secret.
    return WebhookError(f"The webhook's URL is not valid: {rule}.", permanent=True)
