"""What is on record of an operator's action: its filter in bounds, without what a task hides."""

import uuid
from typing import Any

import pytest

from jobs.models import OperatorAction
from jobs.operations import actions
from jobs.operations.filters import JobFilter
from jobs.tasks.redaction import HIDDEN
from tests.jobs.people import logged_in, person
from tests.tasks_app import tasks

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]

SECRET = "Xyzzy-Plugh-90210"  # noqa: S105 (nobody's)


def recorded(**selection: Any) -> Any:
    actions.cancel_jobs(JobFilter(**selection), actor="test")
    return OperatorAction.objects.get().target


@pytest.mark.parametrize("path", ["secret", "secret.deep", "pin", "pin.digits"])
def test_a_value_that_a_task_hides_is_not_on_record(path: str) -> None:
    assert recorded(task=tasks.confide.name, kwargs=((path, SECRET),))["kwargs"] == [[path, HIDDEN]]


@pytest.mark.parametrize("value", ["red", 7, True, None, ["red"], {"red": 1}])
def test_other_values_are(value: Any) -> None:
    ((path, kept),) = recorded(kwargs=(("effect", value),))["kwargs"]
    assert path == "effect"
    assert kept in (value, str(value))


@pytest.mark.parametrize("value", ["x" * 1_000_000, {"deep": ["x" * 1_000_000]}, [["x" * 1_000_000]]])
def test_a_large_value_is_kept_in_part(value: Any) -> None:
    assert len(str(recorded(kwargs=(("effect", value),)))) < 500


def test_a_list_of_records_is_short_however_many_ids_they_name() -> None:
    ids = tuple(uuid.uuid4() for _ in range(10_000))
    assert len(recorded(ids=ids)["ids"]) == len(ids)
    client = logged_in(person("view_operatoraction", "view_job"))
    for page in ("/jobs/history/", "/admin/jobs/operatoraction/"):
        assert len(client.get(page).content) < 100_000
