"""Management commands of one environment, run one after the other in one process: to load Django costs most of each."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

#: Runs the commands that come in, a line of JSON each, and says of each whether it ended well and what it printed.
PROGRAM = """
import contextlib, io, json, sys, traceback
import django
django.setup()
from django.core.management import call_command
from django.db import connections

answers = sys.stdout
for line in sys.stdin:
    said, well = io.StringIO(), True
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            call_command(*json.loads(line))
        except (Exception, SystemExit) as exc:
            well = isinstance(exc, SystemExit) and not exc.code
            if not well:
                traceback.print_exc()
        connections.close_all()
    print(json.dumps([well, said.getvalue()]), file=answers, flush=True)
"""


class Commands:
    """Runs commands of the code in `directory` as `manage.py` does; starts with the first one."""

    def __init__(self, environment: Mapping[str, str], directory: Path) -> None:
        self.environment = {**os.environ, **environment}
        self._directory = directory
        self._process: subprocess.Popen[str] | None = None

    def run(self, *arguments: str) -> str:
        """Run a command to its end and return what it printed; AssertionError where it fails."""
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(arguments) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        assert answer, f"The process of the commands ended at {arguments}."
        well, said = json.loads(answer)
        assert well, f"{arguments}\n{said}"
        return str(said)

    def _start(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=self._directory,
            env=self.environment,
        )

    def stop(self) -> None:
        """End the process; the next command starts another."""
        if self._process is not None:
            self._process.communicate()
            self._process = None
