"""The error that search raises, and the kind of it that is about one document."""


class SearchError(Exception):
    """Raised when the search server refuses or cannot be reached.

    Attributes:
        permanent: whether trying again cannot help: a wrong key, an index or document that the server refuses.
        code: the server's own name of what is wrong; "" where it gave none.
    """

    def __init__(self, message: str, *, permanent: bool = False, code: str = "") -> None:
        super().__init__(message)
        self.permanent = permanent
        self.code = code


class DocumentRefused(SearchError):
    """Raised for a document that cannot be indexed for what it is, alone or among others; it says which. Permanent."""

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message, permanent=True, code=code)
