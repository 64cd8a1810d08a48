"""`/api/flow`: limits and pauses."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.core.held_by import HeldBy
from jobs.models import FlowRule, Job, Queue
from tests.jobs.api.conftest import Api
from tests.jobs.rows import written
from tests.tasks_app import tasks

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]

TASK = tasks.noop.name


def put(api: Api, path: str, body: object) -> tuple[int, dict[str, object]]:
    headers = {"Authorization": f"Bearer {api.token}"}
    answer = api.client.put(f"/api/{path}", body, content_type="application/json", headers=headers)
    return answer.status_code, answer.json()


def test_a_limit_is_set_listed_and_reset(api: Api) -> None:
    status, rule = put(api, f"flow/task/{TASK}/limit", {"rate": "5/m", "concurrency": 3})
    assert (status, rule["rate"], rule["burst"], rule["concurrency"]) == (200, "5/m", 1, 3)
    (listed,) = api.get("flow").json()["rules"]
    assert listed == rule
    assert listed["changed_by"] == "token test"
    headers = {"Authorization": f"Bearer {api.token}"}
    assert api.client.delete(f"/api/flow/task/{TASK}/limit", headers=headers).status_code == 200
    assert FlowRule.objects.get().rate is None


@pytest.mark.parametrize(
    "path, body",
    [
        (f"flow/task/{TASK}/limit", {"rate": "5/day"}),
        (f"flow/task/{TASK}/limit", {"concurrency": 0}),
        (f"flow/task/{TASK}/limit", {"burst": "many"}),
        (f"flow/task/{TASK}/limit", {"speed": 3}),
        ("flow/task/nobody/limit", {"rate": "1/s"}),
        ("flow/colour/red/limit", {"rate": "1/s"}),
    ],
)
def test_a_limit_that_cannot_hold_is_refused(api: Api, path: str, body: dict[str, object]) -> None:
    assert put(api, path, body)[0] == 422
    assert not FlowRule.objects.exists()


def test_a_tenant_and_a_queue_are_paused_with_reason_and_end(api: Api) -> None:
    end = (timezone.now() + timedelta(hours=1)).isoformat()
    rule = api.post("flow/tenant/acme/pause", {"reason": "unpaid", "until": end}).json()
    assert (rule["paused"], rule["pause_reason"], rule["paused_by"]) == (True, "unpaid", "token test")
    assert api.post("flow/tenant/acme/resume").json()["name"] == "acme"
    queue = api.post("queues/default/pause", {"reason": "night", "until": end}).json()
    assert (queue["pause_reason"], queue["paused_until"] is None) == ("night", False)
    assert api.post("queues/default/pause", {"until": "2020-01-01T00:00:00Z"}).status_code == 422
    assert Queue.objects.get().pause_reason == "night"


def test_a_job_says_where_it_stands_in_line(api: Api) -> None:
    job = written()
    assert api.get(f"jobs/{job.pk}").json()["line"] is None
    rule = FlowRule.objects.create(kind="task", name=TASK, rate="6/m")
    Job.objects.update(held_by=HeldBy.LIMIT, held_rule=rule.pk, held_since=timezone.now())
    line = api.get(f"jobs/{job.pk}").json()["line"]
    assert (line["rule"], line["place"]) == (f"limit {TASK}", 1)


def test_who_may_not_operate_changes_nothing(api_of: Callable[..., Api]) -> None:
    assert put(api_of("read"), f"flow/task/{TASK}/limit", {"rate": "1/s"})[0] == 403
    assert api_of("read").post(f"flow/task/{TASK}/pause").status_code == 403
    # Without `read` no more is told than which it is.
    assert put(api_of("operate"), f"flow/task/{TASK}/limit", {"rate": "1/s"}) == (200, {"kind": "task", "name": TASK})


def test_a_limit_is_tried_on_the_past(api: Api) -> None:
    nothing = {"jobs": 0, "waited": 0, "mean_seconds": 0.0, "longest_seconds": 0.0}
    assert api.post(f"flow/task/{TASK}/try", {"rate": "1/s", "hours": 2}).json() == nothing
    assert api.post(f"flow/task/{TASK}/try", {"rate": "1/day"}).status_code == 422
    assert api.post(f"flow/task/{TASK}/try", {"hours": -1}).status_code == 422


def test_a_tenant_is_weighed(api: Api) -> None:
    status, rule = put(api, "flow/tenant/acme/weight", {"weight": 3})
    assert (status, rule["kind"], rule["name"], rule["weight"]) == (200, "tenant", "acme", 3)
    assert api.get("flow").json()["rules"] == [rule]
    for refused in ({"weight": 0}, {"weight": 101}, {"weight": "much"}, {}):
        assert put(api, "flow/tenant/acme/weight", refused)[0] == 422
    assert put(api, f"flow/task/{TASK}/weight", {"weight": 3})[0] in {404, 405}
    assert FlowRule.objects.get().weight == 3


def test_who_may_not_operate_weighs_nobody(api_of: Callable[..., Api]) -> None:
    assert put(api_of("read"), "flow/tenant/acme/weight", {"weight": 3})[0] == 403
    assert put(api_of("operate"), "flow/tenant/acme/weight", {"weight": 3}) == (200, {"kind": "tenant", "name": "acme"})
