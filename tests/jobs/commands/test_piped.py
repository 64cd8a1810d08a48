"""What a program or a file gets of what is printed for people: all of it, without colours and padding."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.core.states import State
from jobs.ledger.attempts import Failure
from jobs.models import ApiToken
from tests.jobs import verbs
from tests.jobs.commands.conftest import Run
from tests.jobs.dashboard.letters import letter
from tests.jobs.rows import LEASE, claimed, in_state, written
from tests.jobs.webhook_rows import died, webhook
from tests.jobs.worker_rows import worker

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nobody_subscribed")]

#: More than any terminal is wide, and more than a table was once cut at.
LONG = "x" * 12_000


def filled() -> None:
    """Write something for every list, some of it long."""
    job = claimed(kwargs=json.dumps({"name": LONG}), task="tests.tasks_app.tasks.noop")
    assert verbs.die(job.pk, LEASE, Failure("ValueError", LONG, "Traceback …"))
    written(tenant="acme")
    in_state(State.SUCCEEDED)
    letter(error=LONG, job=job)
    letter(error="short", job=job)
    died(webhook(), LONG)
    worker(name="w1@here")


LISTS = (
    *("list", "stats", "queues", "shares default", "flow list", "flow breakers", "deadletters list", "schedules list"),
    *("webhooks list", "webhooks deliveries crm", "workers", "token list", "audit", "top --once"),
)


@pytest.mark.parametrize("words", LISTS)
def test_no_list_has_blanks_at_the_ends_of_lines_or_drives_a_terminal(run: Run, words: str) -> None:
    filled()
    lines = run(*words.split()).out.splitlines()
    assert lines
    assert [line for line in lines if line != line.rstrip()] == []
    assert not any("\x1b" in line for line in lines)


@pytest.mark.parametrize("words", ["list", "deadletters list", "webhooks deliveries crm", "top --once"])
def test_nothing_is_cut_and_what_is_long_pads_no_other_row(run: Run, words: str) -> None:
    filled()
    lines = run(*words.split()).out.splitlines()
    assert any(LONG in line for line in lines)
    assert all("xxx" in line or len(line) < 400 for line in lines)


def test_a_token_for_two_days_expires_in_two_days(run: Run) -> None:
    run("token", "create", "billing", "--scope", "read", "--days", 2)
    assert "in 2 days" in run("token", "list").out
    ApiToken.objects.update(expires_at=timezone.now() + timedelta(days=1, hours=11))
    assert "in 1 day " in run("token", "list").out
