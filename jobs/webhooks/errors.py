"""What can go wrong on a message's way to its receiver."""


class WebhookError(Exception):
    """Raised when a message could not be handed over.

    Args:
        message: what happened and where, without the URL, which may hold a secret.
        permanent: whether trying again later is pointless.
        retry_after: for how many seconds the other side takes nothing, where it says so.
        status: its answer, in HTTP's numbers; None where it gave none.
    """

    def __init__(
        self, message: str, *, permanent: bool = False, retry_after: int | None = None, status: int | None = None
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after = retry_after
        self.status = status
