"""The process supervisor of `make up`: readiness, restarts, and an orderly stop."""

import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from project.embedded.part import Part, PartFailed
from project.embedded.supervisor import Interrupted, Supervisor
from tests.waiting import wait_for

#: Says when it can be stopped, and then waits for it.
WAIT = "import signal, sys; print('up', flush=True); signal.sigwait([signal.SIGTERM, signal.SIGUSR1]); print('bye')"
#: Does not hear SIGTERM.
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"


def python(name: str, code: str, **options: object) -> Part:
    return Part(name, [sys.executable, "-c", code], ready_words="up", **options)  # type: ignore[arg-type]


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def supervisor(tmp_path: Path, output: io.StringIO) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path, output)
    yield supervisor
    supervisor.interrupt()
    supervisor.interrupt()
    supervisor.stop_all()


@pytest.fixture
def watched(supervisor: Supervisor) -> Iterator[Callable[..., psutil.Process]]:
    """Start a part and let the supervisor watch over it meanwhile."""
    watcher: list[threading.Thread] = []

    def watch(look: Callable[[], None]) -> None:
        with suppress(Interrupted):
            supervisor.watch(look)

    def start(part: Part, look: Callable[[], None] = lambda: None) -> psutil.Process:
        supervisor.start(part)
        supervisor.wait_until_ready(part, seconds=10)
        child = only_child()
        watcher.append(threading.Thread(target=watch, args=(look,)))
        watcher[0].start()
        return child

    yield start
    supervisor.interrupt()
    watcher[0].join(10)


def only_child() -> psutil.Process:
    """Return the one living process that the supervisor of this test has started."""
    [child] = living()
    return child


def living() -> list[psutil.Process]:
    """Return the living processes that managers have started; the servers of other tests are none of them."""
    children = psutil.Process().children()
    return [child for child in children if child.cmdline()[:2] == [sys.executable, "-c"]]


def test_parts_are_ready_when_they_say_so_and_their_check_agrees(supervisor: Supervisor, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    part = python("a", f"open({str(flag)!r}, 'w').close();{WAIT}", ready=flag.exists)
    supervisor.start(part)
    supervisor.wait_until_ready(part, seconds=10)
    assert (tmp_path / "a.log").read_text() == "up\n"


def test_a_part_that_ends_while_it_starts_is_named_with_what_it_said(supervisor: Supervisor) -> None:
    part = python("a", "print('no licence'); raise SystemExit(3)", quiet=True)
    supervisor.start(part)
    with pytest.raises(PartFailed, match=r"(?s)a ended with exit code 3 while it started\.\n    no licence"):
        supervisor.wait_until_ready(part, seconds=10)


def test_a_part_that_is_never_ready_is_named(supervisor: Supervisor) -> None:
    part = python("a", WAIT, ready=lambda: False)
    supervisor.start(part)
    with pytest.raises(PartFailed, match=r"a was not ready within 0\.3 seconds"):
        supervisor.wait_until_ready(part, seconds=0.3)


def test_a_missing_program_is_named(supervisor: Supervisor) -> None:
    with pytest.raises(PartFailed, match="a needs the program no-such-program, which is missing"):
        supervisor.start(Part("a", ["no-such-program"]))


def test_a_command_runs_to_its_end(supervisor: Supervisor, output: io.StringIO) -> None:
    supervisor.run_to_end(python("a", "print('done')"))
    assert "done" in output.getvalue()


def test_a_command_that_fails_is_named_with_what_it_said(supervisor: Supervisor) -> None:
    with pytest.raises(PartFailed, match=r"(?s)a failed \(ended with exit code 1\)\..*ZeroDivisionError"):
        supervisor.run_to_end(python("a", "1/0", quiet=True))


def test_what_was_printed_is_not_said_twice(supervisor: Supervisor, output: io.StringIO) -> None:
    with pytest.raises(PartFailed) as failure:
        supervisor.run_to_end(python("a", "1/0"))
    assert "ZeroDivisionError" in output.getvalue()
    assert "ZeroDivisionError" not in str(failure.value)


def test_a_quiet_part_is_logged_but_not_printed(supervisor: Supervisor, output: io.StringIO, tmp_path: Path) -> None:
    supervisor.run_to_end(python("a", "print('whisper')", quiet=True))
    assert "whisper" not in output.getvalue()
    assert (tmp_path / "a.log").read_text() == "whisper\n"


def test_a_part_that_dies_comes_back_and_its_children_do_not_linger(
    watched: Callable[[Part], psutil.Process], output: io.StringIO
) -> None:
    child_then_wait = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {DEAF!r}]);{WAIT}"
    first = watched(python("a", child_then_wait))
    [grandchild] = wait_for(first.children)
    first.kill()
    wait_for(lambda: "a was killed by SIGKILL unexpectedly; it starts again in 1 s" in output.getvalue())
    wait_for(lambda: not grandchild.is_running())
    wait_for(lambda: [child for child in living() if child.pid != first.pid], what="the second start")


def test_a_part_that_keeps_dying_comes_back_later_each_time(
    watched: Callable[[Part], psutil.Process], output: io.StringIO
) -> None:
    process = watched(python("a", WAIT))
    process.kill()
    wait_for(lambda: "again in 1 s" in output.getvalue())
    wait_for(lambda: output.getvalue().count("| up") == 2)
    only_child().kill()
    wait_for(lambda: "again in 2 s" in output.getvalue())


@pytest.mark.parametrize("code", [WAIT, DEAF])
def test_a_restart_ends_a_part_in_time_and_starts_it_anew(
    watched: Callable[..., psutil.Process], supervisor: Supervisor, output: io.StringIO, code: str
) -> None:
    part = python("a", code, stop_seconds=1)
    asked: list[bool] = []

    def look() -> None:
        if not asked:
            supervisor.restart([part])
            asked.append(True)

    first = watched(part, look)
    wait_for(lambda: "a runs the changed code." in output.getvalue())
    assert not first.is_running()
    assert "unexpectedly" not in output.getvalue()


def test_a_part_that_is_not_ready_after_a_restart_is_asked_for_a_while_and_then_named(
    watched: Callable[..., psutil.Process], supervisor: Supervisor, output: io.StringIO
) -> None:
    answers: list[bool] = []
    restarted: list[bool] = []

    def ready() -> bool:
        # The first time it is, and not again.
        answers.append(not answers)
        return answers[-1]

    part = python("a", WAIT, ready=ready, ready_seconds=1)

    def look() -> None:
        if not restarted:
            restarted.append(True)
            supervisor.restart([part])

    watched(part, look)
    wait_for(lambda: "a runs the changed code and is not ready after 1 s." in output.getvalue())
    assert len(answers) < 8


def test_a_restart_does_not_wait_for_the_next_try_of_a_part_that_keeps_dying(
    watched: Callable[..., psutil.Process], supervisor: Supervisor, output: io.StringIO
) -> None:
    part = python("a", WAIT)
    dead: list[bool] = []

    def look() -> None:
        if "again in 2 s" in output.getvalue() and not dead:
            dead.append(True)
            supervisor.restart([part])

    watched(part, look).kill()
    wait_for(lambda: output.getvalue().count("| up") == 2)
    only_child().kill()
    wait_for(lambda: "a runs the changed code." in output.getvalue())
    only_child().kill()
    wait_for(lambda: output.getvalue().count("again in 1 s") == 2)


@pytest.mark.parametrize("asked", [False, True])
def test_a_part_on_hold_that_ends_waits_for_the_next_restart(
    watched: Callable[..., psutil.Process], supervisor: Supervisor, output: io.StringIO, asked: bool
) -> None:
    part = python("a", WAIT)
    waiting: list[list[str]] = []
    starts: list[int] = []
    end = "" if asked else "it starts again once the code can run."

    def look() -> None:
        if not waiting:
            supervisor.restart([part] if asked else [])
            waiting.append(supervisor.hold([part]))
        elif end in output.getvalue():
            starts.append(output.getvalue().count("| up"))
            # Longer than the second after which one that is not on hold would be there again.
            if len(starts) == 15:
                supervisor.restart([part])

    first = watched(part, look)
    wait_for(lambda: waiting)
    if not asked:
        first.kill()
    wait_for(lambda: "a runs the changed code." in output.getvalue())
    assert waiting == [["a"] if asked else []]
    assert starts[:15] == [1] * 15


def test_a_command_that_does_not_end_in_time_is_ended_and_named(supervisor: Supervisor) -> None:
    with pytest.raises(PartFailed, match=r"a did not end within 0\.5 seconds"):
        supervisor.run_to_end(python("a", WAIT), seconds=0.5)
    assert living() == []


def test_stop_asks_the_main_process_alone_and_waits_for_it(supervisor: Supervisor, output: io.StringIO) -> None:
    part = python("a", f"import os\nif os.fork():\n  {WAIT}\nelse:\n  {WAIT}")
    supervisor.start(part)
    supervisor.wait_until_ready(part, seconds=10)
    wait_for(lambda: len(only_child().children()) == 1)
    supervisor.stop([part])
    # Asked by SIGTERM, both would say it; the child was killed when its parent had ended.
    assert output.getvalue().count("bye") <= 1
    assert living() == []


def test_what_does_not_stop_in_time_is_killed(supervisor: Supervisor) -> None:
    part = python("a", DEAF, stop_seconds=0.2)
    supervisor.start(part)
    supervisor.wait_until_ready(part, seconds=10)
    process = only_child()
    supervisor.stop([part])
    assert not process.is_running()


def test_a_second_interruption_kills_at_once(supervisor: Supervisor) -> None:
    part = python("a", DEAF, stop_seconds=60)
    supervisor.start(part)
    supervisor.wait_until_ready(part, seconds=10)
    process = only_child()
    supervisor.interrupt()
    supervisor.interrupt()
    supervisor.stop([part])
    assert not process.is_running()


def test_an_interruption_ends_the_waiting(supervisor: Supervisor) -> None:
    part = python("a", WAIT, ready=lambda: False)
    supervisor.start(part)
    supervisor.interrupt()
    with pytest.raises(Interrupted):
        supervisor.wait_until_ready(part, seconds=10)


def test_nobody_reading_us_is_one_way_to_ask_for_the_end(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as output:
        supervisor = Supervisor(tmp_path, output)
        supervisor.say("hello")
        with pytest.raises(Interrupted):
            supervisor.watch()
        supervisor.say("goodbye")
