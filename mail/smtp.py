"""smtplib, with user names and passwords outside ASCII: it can send none."""

import base64
import hmac
import smtplib
from collections.abc import Callable
from typing import Any

#: RFC 4954, 4 and 6: the server asks, has authenticated us, had done so before.
_CHALLENGE, _AUTHENTICATED, _ALREADY = 334, 235, 503

#: No mechanism gives more. A server that goes on asking would never end.
_MAX_ANSWERS = 5


class Smtp(smtplib.SMTP):
    """A connection whose log-in is in UTF-8, as PLAIN wants it (RFC 4616) and servers take it for the others."""

    user: str
    password: str

    #: How many answers the log-in at hand has given.
    _answers = 0

    def auth(
        self, mechanism: str, authobject: Callable[..., Any], *, initial_response_ok: bool = True
    ) -> tuple[int, bytes]:
        """Log in by one mechanism. Raises SMTPAuthenticationError where the server says no, as smtplib's own does."""
        mechanism = mechanism.upper()
        self._answers = 0
        initial = authobject() if initial_response_ok else None
        code, reply = self.docmd("AUTH", mechanism if initial is None else f"{mechanism} {self._answer(initial)}")
        while code == _CHALLENGE:
            if self._answers > _MAX_ANSWERS:
                raise smtplib.SMTPException(f"Server AUTH mechanism {mechanism} does not end.")
            code, reply = self.docmd(self._answer(authobject(base64.b64decode(reply))))
        if code not in {_AUTHENTICATED, _ALREADY}:
            raise smtplib.SMTPAuthenticationError(code, reply)
        return code, reply

    def auth_login(self, challenge: Any = None) -> str:
        """Return the user's name, then the password: what a server asks LOGIN for, in its own words."""
        return self.password if self._answers else self.user

    def auth_cram_md5(self, challenge: Any = None) -> Any:
        """Return the answer to a challenge of CRAM-MD5 (RFC 2195)."""
        if challenge is None:
            return None
        return f"{self.user} {hmac.new(_octets(self.password), challenge, 'md5').hexdigest()}"

    def _answer(self, text: str) -> str:
        self._answers += 1
        return base64.b64encode(_octets(text)).decode("ascii")


class SmtpOverTls(Smtp, smtplib.SMTP_SSL):
    """Such a connection that is encrypted from its first byte."""


def _octets(text: str) -> bytes:
    # A variable of the environment that is no UTF-8 goes out in the bytes it was given in.
    return text.encode("utf-8", "surrogateescape")
