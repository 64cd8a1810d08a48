"""The links by which a reader ends mailings, and who has (RFC 2369, RFC 8058).

A link names its address and is signed; nothing is stored until somebody uses it. It works for as long as the key with
which it was signed is known: mails are opened years later.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner
from django.urls import reverse

from mail.models import Unsubscription

#: With the time in it, it has the shape by which links are masked in logs and error reports.
_signer = TimestampSigner(sep=".", salt="mail.unsubscribing")


class LinkError(Exception):
    """Raised for a link that is none of ours, or was not copied completely."""


def link(address: str) -> str:
    """Return the link by which `address`, in its one spelling, is unsubscribed; complete with host."""
    token = _signer.sign(urlsafe_b64encode(address.encode()).decode("ascii").rstrip("="))
    return settings.FRONTEND_HOST + reverse("mail:unsubscribe", args=[token])


def address_of(token: str) -> str:
    """Return the address that a link names. Raises LinkError unless it is genuine."""
    try:
        text = _signer.unsign(token)
        return urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (BadSignature, binascii.Error, ValueError) as exc:
        raise LinkError("This link is not complete, or was not made here.") from exc


def unsubscribe(address: str) -> None:
    """Send no mailing to an address any more. Once more does no harm."""
    Unsubscription.objects.get_or_create(address=address)


def unsubscribed(addresses: Collection[str]) -> set[str]:
    """Return those of the addresses, in their one spelling, that get no mailings."""
    return set(Unsubscription.objects.filter(address__in=addresses).values_list("address", flat=True))
