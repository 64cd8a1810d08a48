"""Lines of the log: whole, once, in their thread's order, whoever writes them, and nobody waits for nothing."""

import io
import logging
import os
import select
import threading
from collections.abc import Iterator

import pytest

from project.logs import StderrHandler
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def handler() -> Iterator[StderrHandler]:
    handler = StderrHandler()
    yield handler
    handler.close()


def log(handler: logging.Handler, text: str) -> None:
    handler.handle(logging.LogRecord("test", logging.INFO, "", 0, text, None, None))


def test_what_threads_log_at_once_is_there_whole_and_once_and_in_order(handler: StderrHandler) -> None:
    written = io.StringIO()
    handler.setStream(written)
    start = threading.Barrier(8)

    def log_many(name: int) -> None:
        start.wait()
        for number in range(2_000):
            log(handler, f"{name} {number}")

    threads = [threading.Thread(target=log_many, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    lines = [tuple(map(int, line.split())) for line in written.getvalue().splitlines()]
    assert len(lines) == 16_000
    for name in range(8):
        assert [number for who, number in lines if who == name] == list(range(2_000))


class Stuck:
    """A stream that nobody reads from, until somebody does."""

    def __init__(self) -> None:
        self.is_read, self.is_asked = threading.Event(), threading.Event()
        self.text = ""
        self.pieces: list[str] = []

    def write(self, text: str) -> None:
        self.is_asked.set()
        self.is_read.wait()
        self.text += text
        self.pieces.append(text)

    def flush(self) -> None:
        pass


def test_whoever_logs_while_another_is_stuck_goes_on_and_its_line_is_written_later(handler: StderrHandler) -> None:
    stream = Stuck()
    handler.setStream(stream)  # type: ignore[arg-type]
    first = threading.Thread(target=log, args=(handler, "first"))
    first.start()
    assert stream.is_asked.wait(10)

    log(handler, "second")  # it would never return

    assert stream.text == ""
    stream.is_read.set()
    first.join()
    assert stream.text == "first\nsecond\n"


def test_what_is_written_together_a_pipe_takes_in_one_piece(handler: StderrHandler) -> None:
    stream = Stuck()
    handler.setStream(stream)  # type: ignore[arg-type]
    lines = ["x" * length for length in (5_000, *[300] * 20, 2_000, 10)]
    first = threading.Thread(target=log, args=(handler, lines[0]))
    first.start()
    assert stream.is_asked.wait(10)
    for line in lines[1:]:
        log(handler, line)

    stream.is_read.set()
    first.join()
    assert stream.text.splitlines() == lines
    assert all(piece.endswith("\n") for piece in stream.pieces)
    assert all(len(piece.encode()) <= select.PIPE_BUF for piece in stream.pieces if piece.count("\n") > 1)
    assert len(stream.pieces) < len(lines) / 2


class OfThree(StderrHandler):
    """Keeps three lines."""

    MOST, LONGEST = 3, 60.0


def test_what_waits_is_bounded_whoever_logs_waits_then() -> None:
    handler = OfThree()
    stream = Stuck()
    handler.setStream(stream)  # type: ignore[arg-type]
    first = threading.Thread(target=log, args=(handler, "0"))
    first.start()
    assert stream.is_asked.wait(10)
    for number in range(1, 4):
        log(handler, str(number))
    last = threading.Thread(target=log, args=(handler, "4"))
    last.start()
    wait_for(lambda: len(handler._lines) == 4, 10)
    assert last.is_alive()

    stream.is_read.set()
    last.join()
    first.join()
    assert stream.text.split() == ["0", "1", "2", "3", "4"]


def test_a_process_forked_while_another_thread_writes_can_log(handler: StderrHandler) -> None:
    reader, writer = os.pipe()
    stream = Stuck()
    handler.setStream(stream)  # type: ignore[arg-type]
    first = threading.Thread(target=log, args=(handler, "first"))
    first.start()
    assert stream.is_asked.wait(10)
    log(handler, "left to the first")

    child = os.fork()
    if not child:
        try:
            handler.stream = os.fdopen(writer, "w")
            log(handler, "of the child")
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as read:
        assert read.read() == "of the child\n"
    os.waitpid(child, 0)
    stream.is_read.set()
    first.join()
    assert stream.text == "first\nleft to the first\n"


def test_a_record_that_cannot_be_put_into_words_costs_no_other(
    handler: StderrHandler, capsys: pytest.CaptureFixture[str]
) -> None:
    written = io.StringIO()
    handler.setStream(written)
    handler.handle(logging.LogRecord("test", logging.INFO, "", 0, "%d", ("no number",), None))
    log(handler, "next")
    assert written.getvalue() == "next\n"
    assert "Logging error" in capsys.readouterr().err


def test_a_filter_stops_a_record(handler: StderrHandler) -> None:
    written = io.StringIO()
    handler.setStream(written)
    handler.addFilter(lambda record: record.getMessage() != "hush")
    log(handler, "hush")
    log(handler, "aloud")
    assert written.getvalue() == "aloud\n"
