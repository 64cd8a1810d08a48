"""The supervisor of `make up`: honcho's processes and output, with readiness, restarts and an order of stopping.

honcho's own manager ends everything as soon as one process ends, and all at once; so its parts are put together anew.
"""

import math
import os
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NoReturn, TextIO, cast

from honcho.colour import get_colours
from honcho.process import Popen

from project.embedded import foreign
from project.embedded.orphan_guard import Starter, die_with_parent
from project.embedded.output import Output
from project.embedded.part import Part, PartFailed

#: How often conditions are looked at while there is nothing else to do.
TICK_SECONDS = 0.1
#: How often it is asked whether a part that was started anew is ready.
LOOK_SECONDS = 0.5
#: A part that ends unexpectedly comes back after 1, 2, 4, … seconds, at most this many;
LONGEST_BACK_OFF_SECONDS = 30.0
#: one that has run this long before begins again with 1.
STEADY_SECONDS = 60.0
#: How much of a failed part's output is shown.
TAIL_LINES = 20


class Interrupted(Exception):
    """Somebody asked us to stop, by Ctrl-C, SIGTERM or because the make that started us is gone."""


@dataclass
class _Run:
    """A part and the latest process that runs it."""

    part: Part
    colour: str
    process: subprocess.Popen[bytes]
    started_at: float
    failures: int = 0
    start_again_at: float | None = None
    #: Since when it is asked to end, to be started anew as soon as it has.
    ending_since: float | None = None
    #: Whether it is not to be started anew before the next `restart`.
    held: bool = False
    #: Whether it is being started anew, and it is still to be said that it is there; and when that is looked at next.
    renewed: bool = False
    look_at: float = 0.0
    said_ready: bool = False
    said: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))

    @property
    def alive(self) -> bool:
        return self.process.poll() is None


class Supervisor:
    """Runs parts. Everything happens in the calling thread; others only pass on what processes print."""

    def __init__(self, logs: Path, output: TextIO) -> None:
        self._output = Output(logs, output, self.interrupt)
        self._colours = get_colours()
        self._runs: dict[str, _Run] = {}
        self._interruptions = 0
        self._starter = Starter()

    # Starting.

    def start(self, *parts: Part) -> None:
        """Start parts; do not wait."""
        for part in parts:
            self._output.begin(part.name)
            colour = next(self._colours)
            self._runs[part.name] = _Run(part, colour, self._launch(part, colour), time.monotonic())

    def wait_until_ready(self, *parts: Part, seconds: float) -> None:
        """Wait until all of them are ready. Raises PartFailed for one that ends or takes too long."""
        waiting = list(parts)
        deadline = time.monotonic() + seconds
        while waiting:
            self._turn()
            for part in waiting:
                run = self._runs[part.name]
                if not run.alive:
                    raise PartFailed(f"{part.name} {_ended(run)} while it started.{_tail(run)}")
                if time.monotonic() > deadline:
                    raise PartFailed(f"{part.name} was not ready within {seconds:g} seconds.{_tail(run)}")
            waiting = [part for part in waiting if not self._is_ready(part)]

    def _is_ready(self, part: Part) -> bool:
        said = self._runs[part.name].said_ready or not part.ready_words
        return said and part.ready()

    def run_to_end(self, part: Part, *, seconds: float = math.inf) -> None:
        """Run a command that ends by itself. Raises PartFailed unless it succeeds, and that in time."""
        self.start(part)
        run = self._runs[part.name]
        while run.alive:
            self._turn()
            if time.monotonic() - run.started_at > seconds:
                self.stop([part])
                raise PartFailed(f"{part.name} did not end within {seconds:g} seconds.{_tail(run)}")
        # What it said last may still be on its way.
        self._pump()
        del self._runs[part.name]
        if run.process.returncode:
            raise PartFailed(f"{part.name} failed ({_ended(run)}).{_tail(run)}")

    # Running.

    def watch(self, look: Callable[[], None] = lambda: None) -> NoReturn:
        """Keep every part running until interrupted: one that ends is started again, later each time.

        `look` is called again and again, and may start, run to its end and restart what it likes.
        """
        while True:
            self._turn()
            look()
            for run in self._runs.values():
                self._keep(run)

    def restart(self, parts: Iterable[Part]) -> None:
        """Ask parts to end, and start each anew when it has; do not wait. Running jobs may finish as at a stop."""
        for part in parts:
            run = self._runs[part.name]
            run.failures, run.held = 0, False
            if run.alive and run.ending_since is None:
                run.process.terminate()
                run.ending_since = time.monotonic()
            elif not run.alive:
                run.start_again_at, run.renewed = time.monotonic(), True

    def hold(self, parts: Iterable[Part]) -> list[str]:
        """Start none of them anew before the next `restart`: what they would load may not run. Those that run go on.

        Return the names of those that have to wait.
        """
        runs = [self._runs[part.name] for part in parts]
        for run in runs:
            run.held = True
        return [run.part.name for run in runs if not run.alive or run.ending_since is not None]

    def _keep(self, run: _Run) -> None:
        if run.alive:
            if run.ending_since is not None and time.monotonic() - run.ending_since > run.part.stop_seconds:
                _signal_group(run.process.pid, signal.SIGKILL)
            elif run.renewed and run.ending_since is None and time.monotonic() >= run.look_at:
                self._welcome_back(run)
        elif run.ending_since is not None:
            # What it left behind must not go on beside its successor.
            _signal_group(run.process.pid, signal.SIGKILL)
            run.ending_since, run.renewed, run.start_again_at = None, True, time.monotonic()
        elif run.start_again_at is None:
            self._plan_restart(run)
        elif not run.held and time.monotonic() >= run.start_again_at:
            self._start_again(run)

    def _welcome_back(self, run: _Run) -> None:
        run.look_at = time.monotonic() + LOOK_SECONDS
        if self._is_ready(run.part):
            run.renewed = False
            self.say(f"{run.part.name} runs the changed code.")
        elif time.monotonic() - run.started_at > run.part.ready_seconds:
            # It may still come: a database whose migrations are not applied, say, is a matter of whoever wrote them.
            run.renewed = False
            self.say(f"{run.part.name} runs the changed code and is not ready after {run.part.ready_seconds:g} s.")

    def _start_again(self, run: _Run) -> None:
        run.said_ready = False
        run.process = self._launch(run.part, run.colour)
        run.started_at, run.start_again_at = time.monotonic(), None

    def _plan_restart(self, run: _Run) -> None:
        now = time.monotonic()
        steady = now - run.started_at >= STEADY_SECONDS
        run.failures = 1 if steady else run.failures + 1
        delay = min(LONGEST_BACK_OFF_SECONDS, 2.0 ** (run.failures - 1))
        run.start_again_at = now + delay
        # What it left behind must not go on beside its successor.
        _signal_group(run.process.pid, signal.SIGKILL)
        when = "once the code can run" if run.held else f"in {delay:g} s"
        self.say(f"{run.part.name} {_ended(run)} unexpectedly; it starts again {when}.{_tail(run)}")

    # Stopping.

    def interrupt(self) -> None:
        """Ask for the end; may be called by a signal handler. The second time, everything is killed."""
        self._interruptions += 1

    def stop(self, parts: Iterable[Part]) -> None:
        """Ask parts to stop, all at once, and wait; kill what takes too long."""
        self._stop([self._runs[part.name] for part in parts if part.name in self._runs])

    def stop_all(self) -> None:
        """Stop whatever still runs."""
        self._stop(list(self._runs.values()))

    def _stop(self, stopping: list[_Run]) -> None:
        for run in stopping:
            if run.alive:
                # The main process alone: a worker's children must finish their jobs.
                run.process.terminate()
        asked_at = time.monotonic()
        while any(run.alive for run in stopping):
            self._pump()
            for run in stopping:
                late = time.monotonic() - asked_at > run.part.stop_seconds
                if run.alive and (late or self._interruptions > 1):
                    _signal_group(run.process.pid, signal.SIGKILL)
        for run in stopping:
            _signal_group(run.process.pid, signal.SIGKILL)
            del self._runs[run.part.name]

    def say(self, text: str) -> None:
        """Print something of our own."""
        self._output.say(text)

    def _launch(self, part: Part, colour: str) -> subprocess.Popen[bytes]:
        if shutil.which(part.command[0]) is None:
            raise PartFailed(f"{part.name} needs the program {part.command[0]}, which is missing: run `make clean up`.")
        process: subprocess.Popen[bytes] = Popen(
            list(part.command),
            shell=False,
            stdin=subprocess.DEVNULL,
            env=foreign.environment(part.environment) if part.foreign else {**os.environ, **part.environment},
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
        self._output.follow(part.name, colour, cast("IO[bytes]", process.stdout))
        return process

    def _turn(self) -> None:
        """Pass on what happened meanwhile. Raises Interrupted when we are asked to stop."""
        self._pump()
        if self._interruptions or self._starter.wants_us_to_stop():
            raise Interrupted

    def _pump(self) -> None:
        """Wait a moment for output, and pass on what there is."""
        for line in self._output.lines(TICK_SECONDS):
            run = self._runs.get(line.name)
            if run is not None:
                text = line.data.decode(errors="replace").rstrip()
                run.said.append(text)
                run.said_ready = run.said_ready or run.part.ready_words in text
            if run is None or not run.part.quiet:
                self._output.print(line)


def _signal_group(pid: int, number: signal.Signals) -> None:
    """Signal a process, which leads a group, and all it started."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        pass


def _ended(run: _Run) -> str:
    code = run.process.returncode or 0
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _tail(run: _Run) -> str:
    """Return what a quiet part said last; what others said stands above already."""
    if not run.part.quiet:
        return ""
    return "".join(f"\n    {line}" for line in run.said)
