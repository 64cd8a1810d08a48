"""What people see of circuit breakers, and do with them: the same in every interface."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from jobs.core.breaker import BreakerState
from jobs.flow import breakers as flow
from jobs.ledger import prune
from jobs.models import BreakerChange, CircuitBreaker, Job, OperatorAction
from jobs.operations import breakers as operations
from jobs.operations.job_json import job_json
from jobs.reports import breakers
from jobs.reports.facts import facts
from jobs.reports.verdict import judge
from tests.jobs.breaker_rows import DEPENDENCY, ERROR, opened, state
from tests.jobs.rows import written

pytestmark = pytest.mark.django_db

NAME = DEPENDENCY.name


def report() -> breakers.BreakerReport:
    found = breakers.find(NAME)
    assert found is not None
    return found


def test_one_that_opened_by_itself_says_since_when_why_what_waits_and_when_it_is_probed() -> None:
    opened(waiting=2, probe_in=3630)
    now = timezone.now()
    since = timezone.localtime(CircuitBreaker.objects.get().opened_at)
    clock = f"{since:%H:%M}" if since.date() == timezone.localtime(now).date() else f"{since:%Y-%m-%d %H:%M}"
    assert report().sentence(now) == f"{NAME} is open since {clock}: {ERROR}; 2 jobs wait; next probe in 1 h"


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"next_probe_at": timezone.now() - timedelta(seconds=1)}, "the next job probes it"),
        ({"state": BreakerState.HALF_OPEN}, "is half-open since"),
        ({"next_probe_at": None}, "it stays open until somebody closes it"),
        ({"opened_at": timezone.now() - timedelta(days=3)}, f"{timezone.localtime() - timedelta(days=3):%Y-%m-%d}"),
    ],
)
def test_the_sentence_tells_every_other_way_in_which_it_stands(changes: dict[str, Any], said: str) -> None:
    opened(waiting=1)
    CircuitBreaker.objects.filter(pk=NAME).update(**changes)
    sentence = report().sentence(timezone.now())
    assert said in sentence
    assert "1 job waits" in sentence


def test_the_overview_says_what_is_open_and_takes_what_an_operator_opened_for_wanted() -> None:
    opened()
    verdict = judge(facts(timezone.now()), timezone.now())
    assert [alert.grave for alert in (verdict.lead, *verdict.alerts) if alert and NAME in alert.text] == [True]
    operations.open_breaker(NAME, actor="ann", reason="maintenance")
    verdict = judge(facts(timezone.now()), timezone.now())
    [alert] = [alert for alert in verdict.alerts if NAME in alert.text]
    assert (alert.grave, alert.room) == (False, "flow")
    assert ", by ann: maintenance;" in alert.text


def test_a_job_says_which_dependency_it_waits_for() -> None:
    opened(waiting=1)
    job = Job.objects.get()
    assert job.held_back == f"waits for {NAME}"
    assert job_json(job)["held_by"] == f"waits for {NAME}"


def test_one_opened_by_hand_stays_open_until_it_is_closed_by_hand() -> None:
    operations.open_breaker(NAME, actor="ann", reason=" the server moves ")
    Job.objects.filter(pk=written(breaker=NAME).pk).update(held_by="breaker")
    CircuitBreaker.objects.update(opened_at=timezone.now() - timedelta(days=9))
    assert flow.look_after() == ([], False)
    operations.close_breaker(NAME, actor="bob")
    assert flow.look_after() == (["default"], False)
    assert [(one.state, one.actor, one.reason) for one in breakers.history(NAME)] == [
        ("closed", "bob", ""),
        ("open", "ann", "the server moves"),
    ]
    assert list(OperatorAction.objects.values_list("action", "actor", "target")) == [
        ("close breaker", "bob", {"breaker": NAME, "reason": ""}),
        ("open breaker", "ann", {"breaker": NAME, "reason": "the server moves"}),
    ]


def test_one_that_is_open_can_be_kept_open_by_hand() -> None:
    opened()
    before = CircuitBreaker.objects.get(pk=NAME)
    operations.open_breaker(NAME, actor="ann")
    after = CircuitBreaker.objects.get(pk=NAME)
    assert (after.next_probe_at, after.opened_at, after.opened_by) == (None, before.opened_at, "ann")
    assert after.openings == before.openings


def test_one_closed_by_hand_has_nothing_counted() -> None:
    CircuitBreaker.objects.create(name=NAME, failures=4, window_start=timezone.now(), window_total=9, window_failed=9)
    operations.close_breaker(NAME, actor="ann")
    row = CircuitBreaker.objects.get(pk=NAME)
    assert (row.failures, row.window_total, row.window_failed) == (0, 0, 0)
    assert not BreakerChange.objects.exists()
    assert OperatorAction.objects.count() == 1


def test_a_declared_one_is_listed_before_any_job_has_needed_it() -> None:
    assert state_of(breakers.find("search")) == BreakerState.CLOSED
    assert breakers.find("nobody") is None


def state_of(found: breakers.BreakerReport | None) -> str:
    assert found is not None
    return found.status.state


@pytest.mark.parametrize(
    "name, tasks",
    [
        ("smtp", {"mail.send", "mail.send_custom", "mail.send_bulk"}),
        ("search", {"search.index", "search.reindex"}),
        ("storage", {"storage.delete", "storage.image.fetch", "storage.image.resize", "storage.image.upload"}),
    ],
)
def test_the_sites_tasks_name_what_they_need(name: str, tasks: set[str]) -> None:
    found = breakers.find(name)
    assert found is not None
    assert tasks <= set(found.tasks)


def test_old_changes_are_forgotten() -> None:
    opened()
    BreakerChange.objects.update(at=timezone.now() - timedelta(days=91))
    operations.close_breaker(NAME, actor="ann")
    assert prune.prune_rows("jobs_breakerchange", 90 * 86_400, 100) == 1
    assert BreakerChange.objects.get().state == "closed"
    assert state() == BreakerState.CLOSED
