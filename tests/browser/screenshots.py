"""`make screenshots`: every page of a site with something to see, photographed for `docs/screenshots/`.

With `--every`, each page in both themes and both widths, for whoever changes how they look; `--to` says where.
"""

import argparse
import importlib
import os
import sys
import tempfile
from pathlib import Path

import django

from tests.browser import chromium
from tests.environment import environment

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "screenshots"


def main() -> int:
    """Make the pictures. Return 1 where there is no browser."""
    parser = argparse.ArgumentParser(prog="make screenshots", description=__doc__)
    parser.add_argument("--to", type=Path, default=PICTURES, help="where the pictures go (docs/screenshots)")
    parser.add_argument("--every", action="store_true", help="each page in both themes and both widths")
    parser.add_argument("--only", default="", help="pages whose name begins so")
    options = parser.parse_args()
    program = chromium.find()
    if program is None:
        print("No browser is installed: run tests/system-packages.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="nightshift-screenshots-") as directory:
        variables = _variables(Path(directory))
        os.environ.update(variables)
        django.setup()
        # It needs the settings, which are read from the variables.
        camera = importlib.import_module("tests.browser.camera")
        wish = camera.Wish(options.to, every=options.every, only=options.only)
        camera.photograph(Path(directory), program, variables["DATABASE_URL"], wish)
    return 0


def _variables(directory: Path) -> dict[str, str]:
    """Return what leads to a site of its own, without a broker and without the tests' tasks."""
    return {
        **environment.variables(),
        "DJANGO_SETTINGS_MODULE": "project.settings",
        # Playwright keeps an event loop running in this thread, which Django would take for an asynchronous caller.
        "DJANGO_ALLOW_ASYNC_UNSAFE": "true",
        "DATABASE_URL": f"sqlite:///{directory / 'nightshift.sqlite3'}",
        "BROKER_URL": "ledger://",
        "REDIS_URL": "",
        "EXTRA_APPS": "",
        "PLAYGROUND": "",
        "FRONTEND_HOST": "http://localhost:8000",
        "VAR_DIR": str(directory / "var"),
    }


if __name__ == "__main__":
    sys.exit(main())
