"""Digests of what nobody may read. Keyed: without the key nobody can try out what a short secret might have been."""

from django.conf import settings
from django.utils.crypto import salted_hmac


def digests(purpose: str, text: str) -> tuple[str, ...]:
    """Return the digests (HMAC-SHA-256, in hexadecimal) of a text.

    Args:
        purpose: what they are for; the same text has another digest for another purpose.
        text: any text, lone surrogates included.

    Returns:
        First the one to be written, by `SECRET_KEY`; then those that may have been written before the key was changed,
        one for each of `SECRET_KEY_FALLBACKS`.
    """
    value = text.encode("utf-8", "surrogatepass")
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return tuple(salted_hmac(f"jobs.{purpose}", value, secret=key, algorithm="sha256").hexdigest() for key in keys)
