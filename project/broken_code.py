"""What is wrong with code that was changed while `make up` runs: said by it, shown on every page in development."""

from pathlib import Path

from django.conf import settings

_FILE = "broken-code.txt"


def tell(var: Path, what: str) -> None:
    """Keep what is wrong, for the pages; the file is moved into place whole."""
    new = var / f"{_FILE}.new"
    new.write_text(what)
    new.replace(var / _FILE)


def forget(var: Path) -> None:
    """Keep nothing: the code that runs is the code that is there."""
    (var / _FILE).unlink(missing_ok=True)


def told() -> str:
    """Return what is wrong with the code that is there; empty where it runs, and always in production."""
    if not settings.DEBUG:
        return ""
    try:
        return (Path(settings.VAR_DIR) / _FILE).read_text()
    except OSError:
        return ""
