"""Caught mails as files: one `.eml` each, named so that they sort by time of arrival.

Files, because catcher and site are two processes: a mail appears in the directory complete or not at all, whoever
looks. The names are the ids in the inbox's addresses.
"""

import os
import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SUFFIX = ".eml"
_ID = re.compile(r"[0-9]{19}-[0-9a-f]{8}")


class NoSuchMail(LookupError):
    """Raised when a mail is not there (any more)."""


@dataclass(frozen=True, slots=True)
class Store:
    """A directory of mails, of which the newest `keep` are kept."""

    directory: Path
    keep: int = 500

    def add(self, content: bytes) -> str:
        """Keep a mail and return its id; the oldest ones make room."""
        self.directory.mkdir(parents=True, exist_ok=True)
        mail_id = f"{time.time_ns():019d}-{uuid.uuid4().hex[:8]}"
        unfinished = self.directory / f".{mail_id}"
        unfinished.write_bytes(content)
        unfinished.replace(self._path(mail_id))
        for old in self.ids()[self.keep :]:
            self._path(old).unlink(missing_ok=True)
        return mail_id

    def ids(self) -> list[str]:
        """Return the ids of all mails, newest first."""
        return sorted(self._names(), reverse=True)

    def read(self, mail_id: str) -> bytes:
        """Return a mail. Raises NoSuchMail."""
        # The pattern is also what keeps an address from leading out of the directory.
        if not _ID.fullmatch(mail_id):
            raise NoSuchMail(mail_id)
        try:
            return self._path(mail_id).read_bytes()
        except FileNotFoundError:
            raise NoSuchMail(mail_id) from None

    def clear(self) -> int:
        """Delete all mails and return how many there were."""
        ids = self.ids()
        for mail_id in ids:
            self._path(mail_id).unlink(missing_ok=True)
        return len(ids)

    def _names(self) -> Iterator[str]:
        try:
            with os.scandir(self.directory) as entries:
                for entry in entries:
                    name, dot, suffix = entry.name.partition(".")
                    if dot + suffix == SUFFIX and _ID.fullmatch(name):
                        yield name
        except FileNotFoundError:
            return

    def _path(self, mail_id: str) -> Path:
        return self.directory / f"{mail_id}{SUFFIX}"
