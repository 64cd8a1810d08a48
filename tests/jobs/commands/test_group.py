"""`group`, and the filter `--group`."""

import uuid

import pytest

from jobs.cli.verb import Exit
from jobs.core.states import State
from jobs.models import Job
from tests.jobs.commands.conftest import Run
from tests.jobs.group_rows import group_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey"), pytest.mark.any_database]


def test_a_group_is_shown(run: Run) -> None:
    group = group_of(5, succeeded=2, dead=1)
    answer = run("group", group.pk, "--json").answer
    assert (answer["size"], answer["states"]["succeeded"], answer["states"]["dead"]) == (5, 2, 1)
    assert "2 queued, 2 succeeded, 1 dead" in run("group", group.pk).out


def test_what_died_in_a_group_is_retried(run: Run) -> None:
    group = group_of(4, dead=2)
    group_of(2, dead=1)
    assert run("retry", "--group", group.pk, "--state", "dead", "--yes").code == Exit.DONE
    assert not Job.objects.filter(group_id=group.pk, state=State.DEAD).exists()
    assert Job.objects.filter(state=State.DEAD).count() == 1


def test_an_unknown_group_is_said_to_be_unknown(run: Run) -> None:
    ran = run("group", uuid.uuid4())
    assert (ran.code, "There is no group" in ran.error) == (Exit.FAILED, True)
