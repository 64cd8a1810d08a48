"""`python -m project.embedded.preflight`: say in a few lines why the code at hand cannot run, if it cannot.

It loads what web, workers and Beat load at their start, with every template, and runs Django's checks.
"""

import importlib
import os
import sys
import traceback
from pathlib import Path

BASE = Path(__file__).resolve().parent.parent.parent
#: Of an error's way through the project, the last calls.
SHOWN_CALLS = 3


def main() -> int:
    """Return 0 if the code can run; else say why it cannot, and return 1."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    try:
        problems = _load()
    except Exception as exc:  # noqa: BLE001  Whatever it is, it is what is to be said.
        problems = [_described(exc)]
    print("\n".join(problems))
    return 1 if problems else 0


def _load() -> list[str]:
    # Not at the top: a module of the project that is broken is to be described, not to end this one.
    importlib.import_module("project.asgi")
    importlib.import_module("django.core.management.base").BaseCommand().check()
    return list(importlib.import_module("project.templates").load_all())


def _described(exc: Exception) -> str:
    # An error of syntax says itself where it is.
    calls = [] if isinstance(exc, SyntaxError) else traceback.extract_tb(exc.__traceback__)
    ours = [call for call in calls if _is_ours(Path(call.filename))]
    return "".join([*traceback.format_list(ours[-SHOWN_CALLS:]), *traceback.format_exception_only(exc)]).rstrip()


def _is_ours(path: Path) -> bool:
    return path.is_relative_to(BASE) and "site-packages" not in path.parts and path != Path(__file__)


if __name__ == "__main__":
    sys.exit(main())
