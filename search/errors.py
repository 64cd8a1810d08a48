"""The one error that search raises."""


class SearchError(Exception):
    """Raised when the search server refuses or cannot be reached.

    Attributes:
        permanent: whether trying again cannot help: a wrong key, an index or document that the server refuses.
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent
