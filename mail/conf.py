"""What the mail app reads from Django's settings, checked where it is used."""

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from django.conf import settings

from mail import addresses, hosts
from mail.addresses import Address
from mail.errors import InvalidMail, MailError

IMPLICIT_TLS_PORT = 465

#: boto3 takes no name of a region that could not be part of a host name.
_REGION = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")


@dataclass(frozen=True, slots=True)
class SmtpConf:
    """Where and how to hand over mail; two equal ones can share a connection.

    Attributes:
        host: of the server.
        port: 465 speaks TLS from the first byte, any other one upgrades by STARTTLS.
        user: to log in as, or "" for a server that asks nobody.
        password: never shown.
        tls: whether the connection must be encrypted and the server's certificate valid.
        local_hostname: how we introduce ourselves.
        reply_seconds: how long the server may take for one reply.
        delivery_seconds: how long it may take altogether; below the job's own time limit, so that a slow server
            is reported as such and not as a killed job.
        idle_seconds: a connection unused for longer is not trusted any more: routers forget it without a word.
    """

    host: str
    port: int = 587
    user: str = ""
    password: str = field(default="", repr=False)
    tls: bool = True
    local_hostname: str = "localhost"
    reply_seconds: float = 10.0
    delivery_seconds: float = 20.0
    idle_seconds: float = 60.0

    @property
    def implicit_tls(self) -> bool:
        """Whether TLS comes before SMTP's first word."""
        return self.tls and self.port == IMPLICIT_TLS_PORT


@dataclass(frozen=True, slots=True)
class SesConf:
    """Amazon SES in one region; two equal ones share a client.

    Attributes:
        region: where the sender's domain is verified; part of every signature.
        access_key, secret_key: who signs, never shown; both empty: what boto3 finds (variables, a profile, a role).
        endpoint: the API's address; empty: the usual one of the region.
        connect_seconds, read_seconds: how long it may take to accept a connection, and to answer; together below the
            job's own time limit, so that a slow server is reported as such and not as a killed job.
    """

    region: str
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    endpoint: str = ""
    connect_seconds: float = 5.0
    read_seconds: float = 15.0


def ses_conf() -> SesConf:
    """Return how to reach Amazon SES. Raises a permanent MailError where the settings cannot work."""
    if problem := ses_problem():
        raise MailError(f"{problem} Restart the workers, then replay this job.", permanent=True)
    return SesConf(
        region=settings.SES_REGION,
        access_key=settings.SES_ACCESS_KEY,
        secret_key=settings.SES_SECRET_KEY,
        endpoint=settings.SES_ENDPOINT,
    )


def ses_problem() -> str:
    """Return what is wrong with the settings of Amazon SES and what to set, or an empty text."""
    region: str = settings.SES_REGION
    if not _REGION.fullmatch(region):
        return f"SES_REGION={region!r} is not valid: it must be 1 to 63 letters, digits and dashes, such as eu-west-1."
    if bool(settings.SES_ACCESS_KEY) != bool(settings.SES_SECRET_KEY):
        missing = "SES_SECRET_KEY" if settings.SES_ACCESS_KEY else "SES_ACCESS_KEY"
        return f"{missing} is missing: set it too, or unset both, and boto3 finds the credentials of the machine."
    return ""


def smtp_conf() -> SmtpConf:
    """Return the configured server. Raises a permanent MailError where none is configured."""
    if not settings.SMTP_HOST:
        raise MailError(
            "No mail server is configured: set SMTP_HOST (and SMTP_PORT, SMTP_USER, SMTP_PASSWORD as it needs), "
            "restart the workers, then replay this job.",
            permanent=True,
        )
    return SmtpConf(
        host=_server_name(settings.SMTP_HOST),
        port=settings.SMTP_PORT,
        user=settings.SMTP_USER,
        password=settings.SMTP_PASSWORD,
        tls=settings.SMTP_TLS,
        local_hostname=_introduction(settings.FRONTEND_HOST),
    )


def _server_name(host: str) -> str:
    """Return the name to look a server up by. Python's own IDNA is that of 2003: another `straße.example`."""
    if host.isascii():
        return host
    try:
        return hosts.to_ascii(host)
    except ValueError as exc:
        raise MailError(f"SMTP_HOST={host!r} is not a host name: {exc}.", permanent=True) from exc


def _introduction(site: str) -> str:
    """Return how EHLO names the host of the site: in ASCII, an IP address as a literal (RFC 5321, 4.1.3)."""
    host = (urlsplit(site).hostname or "").partition("%")[0].rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        try:
            return hosts.to_ascii(host)
        except ValueError:
            # Servers refuse a name that is none, such as one with an underscore.
            return "localhost"
    return f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"


def sender() -> Address:
    """Return who our mail comes from. Raises a permanent MailError for an unusable one."""
    try:
        return addresses.parse(settings.EMAILS_FROM_EMAIL, settings.EMAILS_FROM_NAME)
    except InvalidMail as exc:
        raise MailError(
            f"EMAILS_FROM_EMAIL or EMAILS_FROM_NAME is not usable: {exc}",
            permanent=True,
        ) from exc
