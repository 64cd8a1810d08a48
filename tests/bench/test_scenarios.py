"""Every scenario runs, with few jobs, on every kind of server; how fast is no matter here."""

from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from bench import peers
from bench.__main__ import main
from bench.scenarios import Case
from tests.brokers.rabbitmq import RabbitMQ
from tests.environment import CI

FEW = ("--jobs", "6", "--latency-jobs", "3", "--idle-seconds", "0.1", "--rounds", "1", "--pools", "threads")

#: What plain Celery has no counterpart of.
OURS_ALONE = {Case.ENQUEUE_MANY, Case.DRAIN_MANY, Case.GUARDED, Case.LIMITED, Case.RETURNED, Case.CHORD}

#: What is measured once, and is no work.
OTHERS = {Case.LATENCY, Case.IDLE, Case.FETCH, Case.CLAIMS, Case.TURNS}


def page(tmp_path: Path, broker: str, databases: Sequence[str], *options: str) -> str:
    """Measure on these servers and return the page."""
    path = tmp_path / "RESULTS.md"
    main([*FEW, "--broker", broker, "--database", *databases, "--output", str(path), "--only", *options])
    return path.read_text()


@pytest.mark.timeout(400)
def test_on_valkey_and_postgresql_both_sides_are_measured(tmp_path: Path) -> None:
    text = page(tmp_path, "valkey", ["postgresql"], "ours", "late")

    for case in set(Case) - OTHERS:
        assert f"| {case}: Nightshift |" in text
        assert (f"| {case}: Celery, acks_late |" in text) == (case not in OURS_ALONE)
    assert "- Latency, Nightshift: p50" in text
    assert "statements/s." in text
    assert "- Results, Nightshift: with whoever waits" in text
    assert "- A statement that claims a hundred jobs, Nightshift:" in text
    assert "ms beside 120 of another." in text
    # What is compared with Dramatiq.
    assert sum("beside Dramatiq" in line and "not measured" in line for line in text.splitlines()) == 2


@pytest.fixture(scope="module")
def without_a_broker(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The page of a run on two databases, and what it told meanwhile."""
    options = ("--rounds", "2", "--scenarios", "single", "bulk", "idle", "claims")
    with redirect_stdout(StringIO()) as told:
        text = page(tmp_path_factory.mktemp("bench"), "ledger", ("sqlite", "postgresql"), "ours", "late", *options)
    return text, told.getvalue()


@pytest.mark.timeout(400)
def test_without_a_broker_and_on_sqlite_ours_is_measured_alone(without_a_broker: tuple[str, str]) -> None:
    text, _ = without_a_broker

    assert "## ledger://, SQLite, threads -c 8" in text
    assert f"| {Case.DRAIN_MANY}: Nightshift |" in text
    assert "Celery, acks_late |" not in text


@pytest.mark.timeout(400)
def test_beside_the_first_setup_little_is_measured_where_nothing_is_judged(without_a_broker: tuple[str, str]) -> None:
    text, told = without_a_broker

    assert "ledger://, SQLite, threads -c 8, round 2 of 2" in told
    assert "ledger://, PostgreSQL, threads -c 8, round 1 of 1" in told
    assert "claims a hundred jobs" not in text


@pytest.mark.timeout(400)
def test_on_rabbitmq_plain_celery_is_measured(tmp_path: Path) -> None:
    if not RabbitMQ.installed():
        reason = "RabbitMQ is not installed here (Debian: apt install rabbitmq-server)."
        pytest.fail(reason) if CI else pytest.skip(reason)

    text = page(tmp_path, "rabbitmq", ["sqlite"], "late", "--scenarios", "single")

    assert f"| {Case.DRAIN}: Celery, acks_late |" in text


def test_more_jobs_than_there_is_room_for_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--jobs", "1000000"])

    assert "--jobs 1000000 is not valid: it must be 1 to 200,000." in capsys.readouterr().err


def test_each_peer_is_installed_in_one_version_whose_files_are_known() -> None:
    lines = (Path(peers.__file__).with_name("requirements.txt")).read_text().splitlines()
    pinned = [line for line in lines if line and line[0] not in " #"]

    assert {line.partition("==")[0] for line in pinned} >= {"dramatiq", "huey"}
    assert peers.version("dramatiq").startswith("dramatiq 2.")
    assert all("==" in line and line.endswith("\\") for line in pinned)
