"""Charts as numbers."""

from datetime import UTC, datetime, timedelta

import pytest

from jobs.dashboard.charts import HEIGHT, WIDTH, ceiling, throughput_chart, wait_chart
from jobs.reports.throughput import Step

START = datetime(2026, 11, 22, tzinfo=UTC)


def steps(*values: Step) -> list[Step]:
    return list(values)


def step(number: int, **values: float) -> Step:
    return Step(START + timedelta(minutes=number), **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("value, above", [(0, 1), (1, 1), (3, 5), (10, 10), (11, 20), (0.03, 0.05), (999, 1000)])
def test_an_axis_ends_at_a_round_number(value: float, above: float) -> None:
    assert ceiling(value) == above


def test_bars_stand_on_each_other_within_the_box() -> None:
    chart = throughput_chart(steps(step(0, succeeded=80, dead=20), step(1), step(2, dead=1, succeeded=60)))
    first = chart.bars[0]
    assert [name for name, _, _ in first.parts] == ["succeeded", "dead"]
    assert first.parts[1][1] == pytest.approx(0)
    assert sum(height for _, _, height in first.parts) == pytest.approx(HEIGHT)
    assert chart.bars[-1].x + chart.bars[-1].width <= WIDTH
    assert [label for _, label in chart.marks] == ["0", "50", "100"]


def test_no_half_jobs_are_marked() -> None:
    assert [label for _, label in throughput_chart(steps(step(0, succeeded=4))).marks] == ["0", "", "5"]


def test_what_went_wrong_is_seen_beside_much_that_went_well() -> None:
    chart = throughput_chart(steps(step(0, succeeded=100_000, dead=1)))
    assert chart.bars[0].parts[-1][2] >= 2


def test_nothing_is_empty_and_still_a_chart() -> None:
    assert throughput_chart(steps(step(0), step(1))).empty
    assert wait_chart(steps(step(0), step(1))).lines == (("p95", ""), ("median", ""))


def test_waits_are_drawn_on_powers_of_ten_with_gaps_where_nothing_was() -> None:
    chart = wait_chart(
        steps(
            step(0, wait_median=0.01, wait_p95=0.1, succeeded=1),
            step(1),
            step(2, wait_median=0.02, wait_p95=100, succeeded=1),
            step(3, wait_median=0.02, wait_p95=10, succeeded=1),
        )
    )
    assert [label for _, label in chart.marks] == ["10 ms", "0.1 s", "1 s", "10 s", "100 s"]
    p95 = dict(chart.lines)["p95"]
    assert p95.count("M") == 2
    assert " 0 " in f" {p95.replace('L', ' ').replace('M', ' ')} "
