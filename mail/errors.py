"""What can go wrong between a request for a message and its delivery."""

#: Characters of what a server said that are shown.
MAX_SHOWN = 300


class MailError(Exception):
    """Raised when a message could not be made or delivered.

    Args:
        message: what happened, to what, and where it can be mended, what to do.
        permanent: whether trying again later is pointless.
        of_recipient: whether it concerns this recipient, and others may be reached all the same.
    """

    def __init__(self, message: str, *, permanent: bool = False, of_recipient: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.of_recipient = of_recipient


def one_line(text: str) -> str:
    """Return what a server said as people can read it: one line, no control characters, not too long."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line[:MAX_SHOWN]


class InvalidMail(MailError):
    """Raised when an address, a header or a request for a message is malformed; trying again cannot help."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=True)


class NothingToSend(Exception):
    """Raised by a writer whose message has become pointless, with the reason: no failure, but no message either."""
