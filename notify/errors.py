"""What can go wrong on a message's way to its reader."""


class NotifyError(Exception):
    """Raised when a message could not be handed over.

    Args:
        message: what happened, to what, and where it can be mended, what to do.
        permanent: whether trying again later is pointless.
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class TooSoon(NotifyError):
    """Raised where the other side takes no more for now, and says for how long (`seconds`)."""

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds

    def __reduce__(self) -> tuple[type["TooSoon"], tuple[str, int]]:
        return type(self), (str(self), self.seconds)
