"""Circuit breakers on the page of what keeps jobs from beginning: shown, opened and closed."""

import pytest
from django.test import Client

from jobs.models import OperatorAction
from tests.jobs.breaker_rows import DEPENDENCY, ERROR, opened, state

pytestmark = pytest.mark.django_db

NAME = DEPENDENCY.name


def text(client: Client) -> str:
    answer = client.get("/jobs/flow/")
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_breakers_are_shown_with_their_tasks_errors_and_changes(viewer: Client) -> None:
    opened(waiting=3)
    shown = text(viewer)
    row = shown.split(f'data-breaker="{NAME}"')[1].split("</tr>")[0]
    assert all(word in row for word in ("open</b>", ERROR, ">3<", "1 ×"))  # noqa: RUF001 (as it is shown)
    assert "search.<wbr>index" in shown.split('data-breaker="search"')[1].split("</tr>")[0]
    assert ERROR in shown.split('id="changes"')[1]
    assert "<form" not in row


def test_an_operator_opens_and_closes_a_breaker(operator: Client) -> None:
    assert "Open<" in text(operator)
    answer = operator.post(f"/jobs/flow/breakers/{NAME}/open", {"reason": "it <moves>"}, follow=True)
    assert f"Opened breaker {NAME}." in answer.content.decode()
    assert "it &lt;moves&gt;" in answer.content.decode()
    assert state() == "open"
    operator.post(f"/jobs/flow/breakers/{NAME}/close")
    assert state() == "closed"
    assert OperatorAction.objects.count() == 2


@pytest.mark.parametrize("verb", ["open", "close"])
def test_whoever_may_only_look_may_not_act_and_nobody_on_what_is_not_there(
    viewer: Client, operator: Client, verb: str
) -> None:
    assert viewer.post(f"/jobs/flow/breakers/{NAME}/{verb}").status_code == 403
    assert operator.get(f"/jobs/flow/breakers/{NAME}/{verb}").status_code == 405
    assert operator.post(f"/jobs/flow/breakers/nobody/{verb}").status_code == 404
    assert not OperatorAction.objects.exists()


def test_a_breaker_whose_time_has_come_is_probed_by_the_next_job(viewer: Client) -> None:
    opened(probe_in=-5)
    assert "the next job" in text(viewer).split(f'data-breaker="{NAME}"')[1].split("</tr>")[0]
