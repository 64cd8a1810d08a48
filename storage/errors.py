"""What can go wrong between us and a store."""


class StorageError(Exception):
    """Raised when a store did not do what was asked.

    Args:
        message: what happened, to what, and where it can be mended, what to do.
        permanent: whether trying again later is pointless.
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class InvalidKey(StorageError):
    """Raised for a key that no store of ours may hold; trying again cannot help."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=True)


class ObjectMissing(StorageError):
    """Raised when the store has no object of this key."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=True)


class InvalidImage(StorageError):
    """Raised for a file that is no image, or none we take; the message is fit for whoever chose the file."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=True)
