"""`make up`: the whole system on embedded parts, until Ctrl-C."""

import importlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from project import env, shared_environment
from project.embedded import parts, ports
from project.embedded.environment import DEMO_EMAIL, Development
from project.embedded.part import PartFailed
from project.embedded.reload import Reloader
from project.embedded.supervisor import Interrupted, Supervisor

BASE = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60.0
#: A command in another terminal that looks whether we run has the lock for a moment.
LOCK_SECONDS = 0.5


def main() -> int:
    """Run everything until interrupted. Return 0 after an orderly end, 1 where it could not start."""
    os.chdir(BASE)
    try:
        development = Development.read(BASE)
        with _alone(development.var):
            ports.check(development.ports(), development.host)
            os.environ.update(development.variables())
            _read_settings(development)
            return _run(development)
    except ImproperlyConfigured as exc:
        print(exc, file=sys.stderr)
        return 1


def _read_settings(development: Development) -> None:
    """Read the settings here first, so that a bad value is one clear line; leave what they read to other terminals."""
    ours = set(env.read)
    importlib.import_module("project.settings")
    theirs = {name: os.environ[name] for name in env.read if name not in ours and name in os.environ}
    # A second Flower takes any free port and says which; its login is known, so it is for this machine alone.
    flower = {"FLOWER_ADDRESS": development.host, "FLOWER_PORT": "0"}
    shared_environment.leave(development.var, theirs | flower, port=development.web.number)


@contextmanager
def _alone(var: Path) -> Iterator[None]:
    """Hold the data directory for ourselves. Raises ImproperlyConfigured where another `make up` has it."""
    # Secrets, mails, other people's posts: what is made from here on, and by every part, is its owner's alone.
    os.umask(0o077)
    var.mkdir(parents=True, exist_ok=True)
    lock_path = var / shared_environment.LOCK
    if lock_path.exists() or not any(var.iterdir()):
        # Ours, or new; a folder that somebody shares with other things keeps its mode.
        var.chmod(0o700)
    with lock_path.open("a") as lock:
        deadline = time.monotonic() + LOCK_SECONDS
        while not shared_environment.lock_alone(lock):
            if time.monotonic() > deadline:
                raise ImproperlyConfigured(
                    f"Another `make up` runs on the data in {var}: stop it, "
                    "or give this one a VAR_DIR and ports of its own."
                )
            time.sleep(0.05)
        yield


def _run(development: Development) -> int:
    began = time.monotonic()
    logs = development.var / "log"
    logs.mkdir(exist_ok=True)
    supervisor = Supervisor(logs, sys.stdout)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: supervisor.interrupt())
    servers = parts.servers(development)
    site = parts.site(development)
    reloader = Reloader(supervisor, [part for part in site if part.reloads], base=BASE, var=development.var)
    # Before anything is loaded: what changes while it starts is not missed.
    reloader.start()
    try:
        supervisor.say("Starting …")
        supervisor.start(*servers)
        supervisor.run_to_end(parts.migration())
        supervisor.wait_until_ready(*servers, seconds=START_SECONDS)
        supervisor.run_to_end(parts.demo())
        supervisor.start(*site)
        supervisor.wait_until_ready(*site, seconds=START_SECONDS)
        supervisor.say(_welcome(development, time.monotonic() - began))
        supervisor.watch(reloader.look)
    except Interrupted:
        supervisor.say("Stopping; running jobs may finish. Ctrl-C again stops at once.")
        return 0
    except PartFailed as exc:
        supervisor.say(f"Could not start: {exc}")
        return 1
    finally:
        reloader.stop()
        # The servers last: until then workers hand back what they hold.
        supervisor.stop(site)
        supervisor.stop_all()
        supervisor.say("Stopped.")


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
        f"  Changed code is run by itself. Data and logs are in {development.var}. Ctrl-C stops everything.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
