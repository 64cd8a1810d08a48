"""Readers of the variables that say by which names the site is reached, and through whom.

What could not work is refused at start: a name no request can have, an address half of whose links would break.
"""

import ipaddress
from urllib.parse import SplitResult, urlsplit

from django.core.exceptions import ImproperlyConfigured

from mail import hosts
from project import env

_PORTS = {"http": 80, "https": 443}


def allowed(name: str, default: list[str]) -> list[str]:
    """Return host names as Django's ALLOWED_HOSTS has them: `.example.com` with all below it, `*` for any."""
    found = env.words(name, default)
    if not found:
        raise _invalid(name, ",", "names between commas, one at least")
    return [_pattern(name, pattern) for pattern in found]


def site(name: str, default: str) -> str:
    """Return the address of the site: scheme, host in ASCII, and the port where it is not the usual one."""
    return _root(name, default, "the site does not run under a path")


def server(name: str, default: str) -> str:
    """Return the address of another server's API, in the form of the site's, or an empty text."""
    return _root(name, default, "each call has a path of its own") if env.text(name, default) else ""


def _root(name: str, default: str, why: str) -> str:
    address = env.url(name, default, schemes=("http", "https"))
    try:
        parts = urlsplit(address)
        port, host = parts.port, _in_url(_ascii(parts.hostname or ""))
    except ValueError as exc:
        raise _invalid(name, _shown(address), f"an address whose host can be called ({exc})") from exc
    if not _is_bare(parts):
        rule = f"scheme and host alone, such as https://example.com: {why}"
        raise _invalid(name, _shown(address), rule)
    scheme = parts.scheme.lower()
    return f"{scheme}://{host}" + (f":{port}" if port not in {None, _PORTS[scheme]} else "")


def proxies(name: str) -> list[str]:
    """Return the addresses and networks of trusted proxies, as uvicorn knows them; `["*"]` for everybody."""
    found = env.words(name, [])
    if found == ["*"]:
        return found
    for one in found:
        try:
            # With bits beyond its prefix uvicorn takes a network for a name, and trusts nobody.
            ipaddress.ip_network(one)
        except ValueError as exc:
            rule = "addresses and networks between commas, such as 10.0.0.0/8, or * alone"
            raise _invalid(name, one, f"{rule} ({exc})") from exc
    return found


def _pattern(name: str, pattern: str) -> str:
    if pattern == "*":
        return pattern
    dot = "." if pattern.startswith(".") else ""
    try:
        return dot + _in_url(_ascii(pattern.removeprefix(".").removeprefix("[").removesuffix("]")))
    except ValueError as exc:
        rule = "names between commas, without scheme, port and path, such as example.com or .example.com, or *"
        raise _invalid(name, pattern, f"{rule} ({exc})") from exc


def _ascii(host: str) -> str:
    """Return a host name, or an IP address, as requests spell it. Raises ValueError for what is neither."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return hosts.to_ascii(host.removesuffix("."))


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_bare(parts: SplitResult) -> bool:
    return parts.path in {"", "/"} and not (parts.query or parts.fragment or "@" in parts.netloc)


def _shown(address: str) -> str:
    scheme, _, rest = address.partition("://")
    # What stands before an @ may be a password.
    return f"{scheme}://…@{rest.rpartition('@')[2]}" if "@" in rest else address


def _invalid(name: str, value: str, rule: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name}={value!r} is not valid: it must be {rule}.")
