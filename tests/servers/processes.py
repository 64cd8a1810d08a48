"""Child processes in a group of their own that never outlive the tests."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from project.embedded.foreign import environment as foreign_environment
from project.embedded.orphan_guard import die_with_parent
from tests.forks import Fork

#: What was started either way.
Process = subprocess.Popen[bytes] | Fork


def spawn(
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    user: int | None = None,
    foreign: bool = False,
) -> subprocess.Popen[bytes]:
    """Start `command` in a new process group, its output appended to `log`. A foreign one gets none of our settings."""
    own = environment or {}
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env=foreign_environment(own) if foreign else {**os.environ, **own},
            start_new_session=True,
            # Even a test run that is killed outright leaves no server behind.
            preexec_fn=die_with_parent(signal.SIGKILL),  # noqa: PLW1509  It makes one system call.
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )


def signal_group(process: Process, number: signal.Signals) -> None:
    """Send a signal to the process and everything it started; nobody there is no error."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def kill_group(process: Process) -> None:
    """Kill the process and everything it started, and reap it."""
    signal_group(process, signal.SIGKILL)
    process.wait()


def tail(log: Path, lines: int = 60) -> str:
    """Return the last lines of a log, or a word that there is none."""
    if not log.exists():
        return "(no log)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
