"""Webhooks over HTTP: made, changed, deleted, tested, delivered again; secrets are told once and addresses never."""

from collections.abc import Callable
from typing import Any

import pytest

from jobs.models import Job, OperatorAction, Webhook
from tests.jobs.api.conftest import Api, errors
from tests.jobs.webhook_rows import URL, delivery, died, webhook

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nobody_subscribed"), pytest.mark.any_database]

GIVEN = {"name": "crm", "url": URL, "states": ["dead", "succeeded"], "tasks": ["mail.*"]}


def test_a_webhook_is_made_and_its_secret_told_once(api: Api) -> None:
    made = api.post("webhooks", GIVEN)
    assert made.status_code == 201
    row = Webhook.objects.get()
    assert (made.json()["secret"], row.url, row.states) == (row.secret, URL, ["succeeded", "dead"])
    assert row.created_by == "token test"
    shown = [api.get("webhooks"), api.get(f"webhooks/{row.pk}"), made]
    assert {answer.status_code for answer in shown} == {200, 201}
    assert ["s3cr3t" in answer.text for answer in shown] == [False] * 3
    assert [row.secret in answer.text for answer in shown] == [False, False, True]
    assert shown[1].json()["address"] == "https://crm.example.com/…"


@pytest.mark.parametrize(
    "given, field",
    [
        ({"url": "ftp://crm.example.com/s3cr3t"}, "url"),
        ({"url": "https://10.0.0.1/s3cr3t"}, "url"),
        ({"url": "https://[::ffff:169.254.169.254]/s3cr3t"}, "url"),
        ({"url": "https://a:s3cr3t@example.com/"}, "url"),
        ({"name": "  "}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"tasks": ["two words"]}, "tasks"),
        ({"tasks": ["a\x00"]}, "tasks"),
        ({"queue": "two words"}, "queue"),
        ({"name": "taken"}, "name"),
    ],
)
@pytest.mark.parametrize("verb", ["make", "change"])
def test_what_no_webhook_can_be_is_refused_by_its_field(api: Api, given: dict[str, Any], field: str, verb: str) -> None:
    webhook(name="taken")
    if verb == "make":
        answer = api.post("webhooks", {**GIVEN, **given})
    else:
        answer = api.patch(f"webhooks/{webhook().pk}", given)
    assert answer.status_code == 422
    assert [name.partition(".")[0] for name, _, _ in errors(answer)] == [field]
    assert "s3cr3t" not in answer.text
    assert set(Webhook.objects.values_list("name", "url")) <= {("taken", URL), ("crm", URL)}


@pytest.mark.parametrize("states", [[], ["running"], ["dead", "scheduled"], "dead"])
def test_it_is_told_of_states_that_there_are(api: Api, states: Any) -> None:
    assert api.post("webhooks", {**GIVEN, "states": states}).status_code == 422


def test_what_is_given_is_changed_and_the_rest_stays(api: Api) -> None:
    row = webhook()
    assert api.patch(f"webhooks/{row.pk}", {"enabled": False, "tasks": []}).json()["enabled"] is False
    secret = row.secret
    row.refresh_from_db()
    assert (row.name, row.url, row.tasks, row.enabled, row.secret) == ("crm", URL, [], False, secret)


def test_a_new_secret_is_told_once(api: Api) -> None:
    row = webhook()
    secret = api.post(f"webhooks/{row.pk}/secret").json()["secret"]
    assert secret != row.secret
    row.refresh_from_db()
    assert secret == row.secret


def test_a_webhook_is_deleted_with_its_deliveries(api: Api) -> None:
    row = webhook()
    job = died(row)
    assert api.delete(f"webhooks/{row.pk}").status_code == 204
    assert not Webhook.objects.exists()
    assert Job.objects.filter(pk=job.pk).exists()


def test_deliveries_are_listed_by_pages_and_states(api: Api) -> None:
    row = webhook()
    gave_up, waits = died(row), delivery(row)
    first = api.get(f"webhooks/{row.pk}/deliveries", limit=1).json()
    second = api.get(f"webhooks/{row.pk}/deliveries", limit=1, cursor=first["next_cursor"]).json()
    assert [one["id"] for one in (*first["deliveries"], *second["deliveries"])] == [str(waits.pk), str(gave_up.pk)]
    assert second["next_cursor"] is None
    (dead,) = api.get(f"webhooks/{row.pk}/deliveries", state="dead").json()["deliveries"]
    assert (dead["event"], dead["task"], dead["last_error"]) == ("job.dead", "mail.send", "it answered <404>")
    assert api.get(f"webhooks/{row.pk}").json()["dead"] == 1
    assert api.get(f"webhooks/{row.pk}/deliveries", cursor="x").status_code == 422
    assert api.get(f"webhooks/{row.pk}/deliveries", stat="dead").status_code == 422


def test_what_died_is_delivered_again(api: Api) -> None:
    row = webhook()
    job = died(row)
    assert api.post(f"webhooks/{row.pk}/redeliver", {"dry_run": True}).json() == {
        "matched": 1,
        "changed": 0,
        "dry_run": True,
    }
    assert api.post(f"webhooks/{row.pk}/redeliver").json()["changed"] == 1
    job.refresh_from_db()
    assert job.state == "queued"
    assert api.post(f"webhooks/{row.pk}/redeliver", {"ids": [str(job.pk)]}).json()["matched"] == 0


def test_a_test_is_a_job(api: Api) -> None:
    job_id = api.post(f"webhooks/{webhook().pk}/test").json()["job_id"]
    assert Job.objects.get(pk=job_id).task == "jobs.webhook"


def test_all_that_is_done_is_on_record_without_secrets(api: Api) -> None:
    row = webhook()
    died(row)
    api.patch(f"webhooks/{row.pk}", {"enabled": True})
    for verb in ("secret", "test", "redeliver"):
        api.post(f"webhooks/{row.pk}/{verb}")
    api.delete(f"webhooks/{row.pk}")
    actions = list(OperatorAction.objects.exclude(action="create token").order_by("pk"))
    assert [one.action for one in actions] == [
        *("add webhook", "change webhook", "change webhook", "test webhook", "redeliver", "delete webhook")
    ]
    assert "s3cr3t" not in str([one.target for one in actions])
    assert "whsec_" not in str([one.target for one in actions])


ASKED = [
    ("get", "webhooks", "read"),
    ("get", "webhooks/1", "read"),
    ("get", "webhooks/1/deliveries", "read"),
    ("post", "webhooks", "operate"),
    ("patch", "webhooks/1", "operate"),
    ("delete", "webhooks/1", "operate"),
    ("post", "webhooks/1/secret", "operate"),
    ("post", "webhooks/1/redeliver", "operate"),
    ("post", "webhooks/1/test", "operate"),
]


@pytest.mark.parametrize("verb, path, scope", ASKED)
def test_each_takes_its_scope(api_of: Callable[..., Api], verb: str, path: str, scope: str) -> None:
    others = [one for one in ("read", "submit", "operate") if one != scope]
    body = () if verb == "get" else (GIVEN,)
    assert getattr(api_of(*others), verb)(path, *body).status_code == 403
    assert getattr(Api(), verb)(path, *body).status_code == 401


@pytest.mark.parametrize("verb, path", [("post", "webhooks"), ("patch", "webhooks/1"), ("post", "webhooks/1/secret")])
def test_who_may_not_read_cannot_have_anybody_told(api_of: Callable[..., Api], verb: str, path: str) -> None:
    answer = getattr(api_of("operate"), verb)(path, {} if verb == "patch" else GIVEN)
    assert (answer.status_code, "'read'" in answer.text) == (403, True)
    assert not Webhook.objects.exists()


@pytest.mark.parametrize("number", ["0", "999", str(2**63), "9" * 40])
def test_one_that_is_not_there_is_not_found(api: Api, number: str) -> None:
    assert api.get(f"webhooks/{number}").status_code == 404


def test_a_job_is_shown_with_what_webhooks_are_told_of_it(api: Api) -> None:
    crm = webhook()
    died(crm)
    other = died(crm)
    (shown,) = api.get(f"jobs/{other.webhook_delivery.of_job}").json()["deliveries"]
    assert (shown["id"], shown["webhook"], shown["event"], shown["status"]) == (str(other.pk), "crm", "job.dead", 404)
    assert api.get(f"jobs/{other.pk}").json()["deliveries"] == []
