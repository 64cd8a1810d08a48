"""Readers of the variables that hold keys and passwords: as those of `project.env`, and no value is ever shown."""

import base64

from django.core.checks.security.base import SECRET_KEY_INSECURE_PREFIX, SECRET_KEY_MIN_LENGTH
from django.core.exceptions import ImproperlyConfigured

from project import env

#: A random key has more, even one of hexadecimal digits.
KEY_MIN_UNIQUE_CHARACTERS = 10

#: https://github.com/fernet/spec/blob/master/Spec.md#key-format
ENCRYPTION_KEY_BYTES = 32


def secret_key(name: str, default: str | None, *, strict: bool) -> str:
    """Return a key to sign with. Where `strict`, one that can be guessed is refused."""
    return _strong(name, env.text(name, default), strict)


def secret_keys(name: str, *, strict: bool) -> list[str]:
    """Return keys between commas; see secret_key."""
    return [_strong(name, key, strict) for key in env.words(name, [])]


def _strong(name: str, key: str, strict: bool) -> str:
    # The rule is that of Django's own check (security.W009), with more different characters: hexadecimal has them.
    strong = (
        len(key) >= SECRET_KEY_MIN_LENGTH
        and len(set(key)) >= KEY_MIN_UNIQUE_CHARACTERS
        and not key.startswith(SECRET_KEY_INSECURE_PREFIX)
    )
    if strict and not strong:
        raise ImproperlyConfigured(
            f"{name} (secret) is not valid: a key must be random, with {SECRET_KEY_MIN_LENGTH} characters or more and "
            f"{KEY_MIN_UNIQUE_CHARACTERS} different ones, as "
            "`python -c 'import secrets; print(secrets.token_urlsafe(50))'` makes it."
        )
    return key


def encryption_keys(name: str) -> list[str]:
    """Return keys for Fernet between commas, each of 32 bytes in URL-safe base64; none by default."""
    keys = env.words(name, [])
    for number, key in enumerate(keys, 1):
        try:
            is_key = len(base64.b64decode(key, altchars=b"-_", validate=True)) == ENCRYPTION_KEY_BYTES
        except ValueError:
            is_key = False
        if not is_key:
            raise ImproperlyConfigured(
                f"{name} (key {number} of {len(keys)}; secret) is not valid: it must be 32 random bytes in URL-safe"
                ' base64, as `python -c "from cryptography.fernet import Fernet;'
                ' print(Fernet.generate_key().decode())"` makes them.'
            )
    return keys


def login(name: str, default: str) -> str:
    """Return `user:password`, or several of them between commas."""
    value = env.text(name, default)
    if value and not all(user and password for user, _, password in (pair.partition(":") for pair in value.split(","))):
        raise ImproperlyConfigured(f"{name} (secret) is not valid: it must be user:password.")
    return value
