"""The program whose forks become `python …` at once: whatever needs none of our settings is loaded already.

Half of what a worker costs is loading Celery, Django and what they need, and the tests start hundreds of processes.
What it is asked, `tests.forks` says. It imports nothing of the project: what that makes when it is imported, such as
memory that the processes of one worker share, must be each fork's own.
"""

import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
from collections.abc import Iterable
from contextlib import suppress

#: They bring in nearly all that a worker loads. None of them reads the environment or the settings.
LOADED = (
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "celery.concurrency.thread",
    "celery.fixups.django",
    "celery.worker.components",
    "celery.worker.consumer",
    "cron_descriptor",
    "crontab",
    "django.contrib.admin",
    "django.contrib.auth.password_validation",
    "django.core.management.commands.migrate",
    "django.db.backends.postgresql.base",
    "django.db.backends.sqlite3.base",
    "django.template.defaulttags",
    "django_tasks",
    "email_validator",
    "kombu.transport.pyamqp",
    "kombu.transport.redis",
    "mrml",
    "nh3",
    "PIL.ImageCms",
    "psycopg",
    "pydantic.fields",
    "pydantic.functional_validators",
    "pydantic.json_schema",
    "pydantic.main",
    "pydantic.types",
    "pyromark",
    "smtplib",
    "tests.zones",
    "uuid_utils.compat",
)

#: Bytes read at once of a request, which is a line: a command and its environment.
REQUEST_BYTES = 1 << 16


def main(link: socket.socket) -> None:
    """Fork whenever asked to, until nobody can ask any more."""
    for name in LOADED:
        importlib.import_module(name)
    # No collection of a fork's writes to what all share.
    gc.collect()
    gc.freeze()
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    #: Where to write the exit code of each fork that runs.
    answers: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([link.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 1024)
            tell_of_ends(answers)
        if link.fileno() in ready:
            request, fds, _, _ = socket.recv_fds(link, REQUEST_BYTES, 3)
            if not request:
                kill(answers)
                return
            while not request.endswith(b"\n"):
                request += link.recv(REQUEST_BYTES)
            output, errors, answer = fds
            pid = os.fork()
            if not pid:
                link.detach()
                become(output, errors, **json.loads(request))
                return
            os.close(output)
            os.close(errors)
            answers[pid] = answer
            tell(answer, pid)


def kill(forks: Iterable[int]) -> None:
    """Kill what still runs, with all that it has started: even a test run that is killed outright leaves nothing."""
    for pid in forks:
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            # It has only just begun and has no group of its own yet. Its id is its own until it is reaped, here.
            os.kill(pid, signal.SIGKILL)


def tell_of_ends(answers: dict[int, int]) -> None:
    """Reap the forks that have ended, and tell whoever asked for each its exit code."""
    while answers:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        answer = answers.pop(pid)
        tell(answer, os.waitstatus_to_exitcode(status))
        os.close(answer)


def tell(answer: int, number: int) -> None:
    """Write a number for whoever asked for a fork."""
    # Perhaps nobody wants to know any more.
    with suppress(BrokenPipeError):
        os.write(answer, f"{number}\n".encode())


def become(output: int, errors: int, arguments: list[str], environment: dict[str, str], directory: str) -> None:
    """Be `python arguments…` from here to the end, in a group of its own, as if started for it."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    for number, fd in enumerate((os.open(os.devnull, os.O_RDONLY), output, errors)):
        os.dup2(fd, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    # A worker that renews itself begins with this line again.
    sys.orig_argv = [sys.executable, *arguments]
    match arguments:
        case ["-m", module, *rest]:
            sys.argv = ["", *rest]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case ["-c", code, *rest]:
            sys.argv = ["-c", *rest]
            exec(code, {"__name__": "__main__"})  # noqa: S102 (it is what `python -c` does)
        case [path, *_]:
            sys.argv = arguments
            runpy.run_path(path, run_name="__main__")


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
