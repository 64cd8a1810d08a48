"""Reload: `make up` runs changed code by itself, where that code can run at all."""

import queue
import sys
import textwrap
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import watchfiles

from project import broken_code
from project.embedded.part import Part, PartFailed
from project.embedded.parts import migration
from project.embedded.supervisor import Supervisor

#: Longer than it takes to load the project; code that waits for something while it is loaded takes for ever.
CHECK_SECONDS = 60.0

#: Names of changed files that are said; another branch changes hundreds.
SHOWN_FILES = 5

#: Code of ours lies in all folders of the project but these, and those that begin with a dot.
_NO_CODE = frozenset({"bench", "deploy", "docs", "htmlcov", "locale", "static", "staticfiles", "tests", "var"})


#: What editors leave beside the files that they write.
_BY_PEOPLE = watchfiles.DefaultFilter()


class Watcher:
    """Notes which Python files and templates change, from a thread of its own."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._changes: queue.SimpleQueue[set[Path]] = queue.SimpleQueue()
        #: Why nothing can be watched, if so.
        self.trouble = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="reload", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread: it must not be in the middle of a call when Python ends."""
        self._stop.set()
        self._thread.join()

    def changes(self) -> set[Path]:
        """Return what changed since it was last asked; does not wait."""
        changed: set[Path] = set()
        while not self._changes.empty():
            changed |= self._changes.get()
        return changed

    def saw_more(self) -> bool:
        """Return whether something changed since the changes were last asked for."""
        return not self._changes.empty()

    def _watch(self) -> None:
        try:
            while not self._stop.is_set():
                self._watch_folders(self._folders())
        except (OSError, RuntimeError) as exc:
            # The system lets one user watch so many folders and no more.
            self.trouble = str(exc)

    def _watch_folders(self, folders: set[Path]) -> None:
        """Watch them until asked to stop, or until others hold code: a new app comes with a change of the settings."""
        # It waits for the last of several files that are written together.
        for changes in watchfiles.watch(*folders, watch_filter=self._is_code, stop_event=self._stop):
            self._changes.put({Path(path) for _, path in changes})
            if self._folders() != folders:
                return

    def _folders(self) -> set[Path]:
        inside = (one for one in self._base.iterdir() if one.is_dir())
        return {one for one in inside if not one.name.startswith(".") and one.name not in _NO_CODE}

    def _is_code(self, change: watchfiles.Change, path: str) -> bool:
        inside = Path(path).relative_to(self._base)
        return _BY_PEOPLE(change, str(inside)) and (inside.suffix == ".py" or "templates" in inside.parts)


class Reloader:
    """Restarts parts when code has changed, unless it cannot run: then the old ones go on, and everybody is told.

    Where a migration has changed, the database is brought up to date before.

    Args:
        base: the project's folder.
        var: where pages look for what is wrong with the code.
    """

    def __init__(self, supervisor: Supervisor, parts: Sequence[Part], *, base: Path, var: Path) -> None:
        self._supervisor = supervisor
        self._parts = parts
        self._base = base
        self._var = var
        self._watcher = Watcher(base)
        #: What changed since the code that runs was started, as people read it.
        self._changed: set[str] = set()

    def start(self) -> None:
        """Begin to watch. What was wrong with the code before is forgotten: it has just been started."""
        broken_code.forget(self._var)
        self._watcher.start()

    def stop(self) -> None:
        """Watch no longer."""
        self._watcher.stop()
        broken_code.forget(self._var)

    def look(self) -> None:
        """Do what is to be done if something has changed."""
        changed = self._watcher.changes()
        if self._watcher.trouble:
            self._supervisor.say(f"Changed code is not run by itself: {self._watcher.trouble}")
            self._watcher.trouble = ""
        if not changed:
            return
        self._changed |= {str(path.relative_to(self._base)) for path in changed}
        # A part that ended now, or was asked to before, would load what is not known to run.
        self._supervisor.hold(self._parts)
        trouble = self._trouble()
        if self._watcher.saw_more():
            # It was not all written yet, or is already another; the next look tells.
            return
        if trouble:
            self._tell(trouble)
        else:
            self._restart()

    def _trouble(self) -> str:
        """Return why the code that is there cannot run, or nothing where it can; then the database is up to date."""
        check = Part("check", [sys.executable, "-m", "project.embedded.preflight"], quiet=True)
        try:
            self._supervisor.run_to_end(check, seconds=CHECK_SECONDS)
            if any("migrations" in Path(name).parts for name in self._changed):
                # As at the start: the new code may need what they bring, and the old one works with it.
                self._supervisor.run_to_end(replace(migration(), quiet=True))
        except PartFailed as exc:
            # Its first line tells of the check, those that follow of the code.
            return textwrap.dedent(str(exc).partition("\n")[2]) or str(exc)
        return ""

    def _tell(self, trouble: str) -> None:
        broken_code.tell(self._var, trouble)
        waiting = self._supervisor.hold(self._parts)
        follows = ["what ran before goes on"] if len(waiting) < len(self._parts) else []
        if waiting:
            # They were about to run a change from before this one.
            follows.append(f"{', '.join(waiting)} will start once it can")
        self._supervisor.say(f"The changed code cannot run; {', and '.join(follows)}.\n{trouble}")

    def _restart(self) -> None:
        broken_code.forget(self._var)
        shown = sorted(self._changed)
        names = ", ".join(
            [*shown[:SHOWN_FILES], *([f"{len(shown) - SHOWN_FILES} more"] if shown[SHOWN_FILES:] else [])]
        )
        parts = ", ".join(part.name for part in self._parts)
        self._supervisor.say(f"Changed: {names}. Restarting {parts}; running jobs may finish.")
        self._changed.clear()
        self._supervisor.restart(self._parts)
