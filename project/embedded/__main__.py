"""`make up`: the whole system on embedded parts, until Ctrl-C."""

import fcntl
import importlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from project.embedded import parts, ports
from project.embedded.environment import DEMO_EMAIL, Development
from project.embedded.manager import Interrupted, Manager, PartFailed

BASE = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60.0


def main() -> int:
    """Run everything until interrupted. Return 0 after an orderly end, 1 where it could not start."""
    os.chdir(BASE)
    try:
        development = Development.read(BASE)
        with _alone(development.var):
            ports.check(development.ports(), development.host)
            os.environ.update(development.variables())
            # Read here first, so that a bad value is one clear line and not a traceback of every part.
            importlib.import_module("project.settings")
            return _run(development)
    except ImproperlyConfigured as exc:
        print(exc, file=sys.stderr)
        return 1


@contextmanager
def _alone(var: Path) -> Iterator[None]:
    """Hold the data directory for ourselves. Raises ImproperlyConfigured where another `make up` has it."""
    # Secrets, mails, other people's posts: what is made from here on, and by every part, is its owner's alone.
    os.umask(0o077)
    var.mkdir(parents=True, exist_ok=True)
    if (var / "lock").exists() or not any(var.iterdir()):
        # Ours, or new; a folder that somebody shares with other things keeps its mode.
        var.chmod(0o700)
    with (var / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ImproperlyConfigured(
                f"Another `make up` runs on the data in {var}: stop it, "
                "or give this one a VAR_DIR and ports of its own."
            ) from None
        yield


def _run(development: Development) -> int:
    began = time.monotonic()
    logs = development.var / "log"
    logs.mkdir(exist_ok=True)
    manager = Manager(logs, sys.stdout)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: manager.interrupt())
    servers = parts.servers(development)
    site = parts.site(development)
    try:
        manager.say("Starting …")
        manager.start(*servers)
        for command in parts.preparation():
            manager.run_to_end(command)
        manager.wait_until_ready(*servers, seconds=START_SECONDS)
        manager.start(*site)
        manager.wait_until_ready(*site, seconds=START_SECONDS)
        manager.say(_welcome(development, time.monotonic() - began))
        manager.watch()
    except Interrupted:
        manager.say("Stopping; running jobs may finish. Ctrl-C again stops at once.")
        return 0
    except PartFailed as exc:
        manager.say(f"Could not start: {exc}")
        return 1
    finally:
        # The servers last: until then workers hand back what they hold.
        manager.stop(site)
        manager.stop_all()
        manager.say("Stopped.")


def _welcome(development: Development, seconds: float) -> str:
    site = f"http://localhost:{development.web.number}"
    flower = f"http://localhost:{development.flower.number}"
    login = f"{DEMO_EMAIL} / {os.environ['DEMO_PASSWORD']}"
    flower_login = os.environ["FLOWER_BASIC_AUTH"].replace(":", " / ", 1)
    return (
        f"Ready after {seconds:.0f} s.\n"
        f"\n"
        f"  Site     {site}/\n"
        f"  Inbox    {site}/inbox/\n"
        f"  Jobs     {site}/jobs/    {login}\n"
        f"  Admin    {site}/admin/   {login}\n"
        f"  Flower   {flower}/   {flower_login}\n"
        f"\n"
        f"  Data and logs are in {development.var}. Ctrl-C stops everything.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
