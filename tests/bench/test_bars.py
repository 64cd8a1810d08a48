"""The bars are judged by the figures of a run, and by nothing that was not measured."""

from bench import where
from bench.bars import BARS, missed, table
from bench.figures import Idle, Work
from bench.scenarios import Case
from bench.setups import Results, Setup
from bench.variants import LATE, OURS, POOLS

SETUP = Setup("valkey", "postgresql", POOLS[0])


def work(rate: float, cpu: float) -> Work:
    """Return 1,000 jobs at this rate, for these CPU seconds of which the servers used half."""
    return Work(1000, 1000 / rate, cpu / 2, cpu / 4, cpu / 4)


def verdict(results: Results, bar: str) -> list[str]:
    """Return what was measured, and how it is judged."""
    [line] = [line for line in table(results).splitlines() if line.startswith(f"| {bar} |")]
    return [cell.strip(" *") for cell in line.split("|")[4:6]]


def test_a_ratio_is_the_median_of_the_ratios_of_each_round() -> None:
    results = Results()
    for ours, theirs in ((4000, 1000), (9000, 1000), (5000, 1000)):
        results.add(SETUP, OURS, Case.DRAIN, work(ours, 0.3))
        results.add(SETUP, LATE, Case.DRAIN, work(theirs, 1))

    assert verdict(results, f"{Case.DRAIN}, beside Celery acks_late: jobs/s") == ["5.00x", "met"]
    assert verdict(results, f"{Case.DRAIN}, beside Celery acks_late: CPU") == ["0.30x", "met"]


def test_a_bound_that_is_missed_is_said_to_be() -> None:
    results = Results()
    results.add(SETUP, OURS, Case.DRAIN, work(1200, 0.36))
    results.add(SETUP, LATE, Case.DRAIN, work(1000, 1))

    assert verdict(results, f"{Case.DRAIN}, beside Celery acks_late: jobs/s") == ["1.20x", "not met"]
    assert verdict(results, f"{Case.DRAIN}, beside Celery acks_late: CPU") == ["0.36x", "not met"]


def test_many_at_a_time_are_measured_by_plain_celerys_one_by_one() -> None:
    results = Results()
    results.add(SETUP, OURS, Case.ENQUEUE_MANY, work(30_000, 0.1))
    results.add(SETUP, LATE, Case.ENQUEUE, work(1000, 1))

    assert verdict(results, f"{Case.ENQUEUE_MANY}, beside plain Celery one by one: jobs/s") == ["30.00x", "met"]


def test_what_was_not_measured_is_not_judged() -> None:
    results = Results()
    results.add(SETUP, OURS, Case.DRAIN, work(4000, 0.3))
    results.add(SETUP, OURS, Case.IDLE, Idle(1.5, 8))

    assert verdict(results, f"{Case.DRAIN}, beside Celery acks_late: jobs/s") == ["-", "not measured"]
    assert verdict(results, "idle worker: statements") == ["1.50/s", "met"]


def test_the_embedded_bar_applies_where_nothing_but_a_file_is_used() -> None:
    results = Results()
    setup = Setup("ledger", "sqlite", POOLS[0])
    results.add(setup, OURS, Case.DRAIN, work(2500, 0.5))

    assert verdict(results, "SQLite ledger: jobs/s") == ["2,500/s", "met"]
    assert verdict(results, "SQLite ledger: CPU per 1,000") == ["0.50 s", "not met"]
    assert "acks_late" not in table(results)


def test_what_a_limit_costs_is_the_difference_to_a_job_without() -> None:
    results = Results()
    results.add(SETUP, OURS, Case.DRAIN, work(4000, 0.3))
    results.add(SETUP, OURS, Case.LIMITED, work(3000, 0.4))

    assert verdict(results, f"{Case.LIMITED}: CPU more than none, per 1,000") == ["0.10 s", "met"]


def test_of_what_is_missed_the_page_says_what_would_have_to_change_and_of_nothing_else() -> None:
    results = Results()
    results.add(SETUP, OURS, Case.DRAIN, work(5000, 0.36))
    results.add(SETUP, LATE, Case.DRAIN, work(1000, 1))

    assert missed(results) == [f"{Case.DRAIN}, beside Celery acks_late: CPU"]
    assert where.changes(missed(results)).count("- **") == 1
    assert where.changes([]) == ""


def test_for_every_bar_there_is_something_to_say() -> None:
    assert [bar.title for bar in BARS if not where.changes([bar.title])] == []
