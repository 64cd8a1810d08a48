"""Webhooks in the admin: their URLs and secrets are shown to nobody, and a test says whether they work."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from jobs.models import Job, OperatorAction, Webhook
from tests.jobs.people import logged_in, person
from tests.jobs.webhook_rows import URL

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey", "nobody_subscribed"), pytest.mark.any_database]

ADD = "/admin/jobs/webhook/add/"


@pytest.fixture
def keeper(db: None) -> Client:
    """Someone who may set up webhooks."""
    return logged_in(
        person(*(f"{verb}_webhook" for verb in ("add", "change", "delete", "view")), email="kay@example.com")
    )


def add(client: Client, **more: Any) -> Any:
    given = {"name": "crm", "url": URL, "states": ["dead", "succeeded"], "tasks": "mail.*\nsearch.index\n", **more}
    return client.post(ADD, {"enabled": "on", **given}, follow=True)


def change(client: Client, **given: Any) -> Any:
    row = Webhook.objects.get()
    values = {
        "name": row.name,
        "url": "",
        "states": row.states,
        "tasks": "\n".join(row.tasks),
        "enabled": "on",
        **given,
    }
    return client.post(reverse("admin:jobs_webhook_change", args=[row.pk]), values, follow=True)


def test_a_webhook_is_made_and_its_secret_shown_once(keeper: Client) -> None:
    answer = add(keeper)
    row = Webhook.objects.get()
    assert (row.states, row.tasks, row.url) == (["succeeded", "dead"], ["mail.*", "search.index"], URL)
    assert row.created_by == "kay@example.com"
    assert row.secret in answer.content.decode()
    assert "docs/webhooks.md" in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    listed = keeper.get("/admin/jobs/webhook/").content.decode()
    page = keeper.get(f"/admin/jobs/webhook/{row.pk}/change/").content.decode()
    assert "https://crm.example.com/…" in listed
    assert "https://crm.example.com/…" in page
    assert "s3cr3t" not in listed + page
    assert row.secret not in listed + page


def test_what_is_left_empty_stays(keeper: Client) -> None:
    add(keeper)
    before = Webhook.objects.get()
    assert "s3cr3t" not in change(keeper, name="sales", enabled="").content.decode()
    row = Webhook.objects.get()
    assert (row.name, row.url, row.secret, row.enabled) == ("sales", URL, before.secret, False)


def test_a_new_secret_is_made_where_one_is_asked_for(keeper: Client) -> None:
    add(keeper)
    before = Webhook.objects.get().secret
    answer = change(keeper, new_secret="on")
    assert Webhook.objects.get().secret != before
    assert Webhook.objects.get().secret in answer.content.decode()


@pytest.mark.parametrize(
    "given, field",
    [
        ({"url": "https://169.254.169.254/"}, "url"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"tasks": "two words"}, "tasks"),
        ({"states": []}, "states"),
        ({"states": ["running"]}, "states"),
        ({"queue": "two words"}, "queue"),
    ],
)
def test_what_no_webhook_can_be_is_said_beside_its_field(keeper: Client, given: dict[str, Any], field: str) -> None:
    answer = add(keeper, **given)
    assert list(answer.context["adminform"].form.errors) == [field]
    assert not Webhook.objects.exists()


def test_a_test_is_a_job_whose_page_is_linked(keeper: Client) -> None:
    add(keeper)
    answer = change(keeper, _test="1")
    job = Job.objects.get()
    assert job.task == "jobs.webhook"
    assert f"/jobs/{job.pk}/" in answer.content.decode()


def test_a_webhook_is_deleted_though_nobody_may_delete_deliveries(keeper: Client) -> None:
    add(keeper, _test="1")
    keeper.post(f"/admin/jobs/webhook/{Webhook.objects.get().pk}/delete/", {"post": "yes"})
    assert not Webhook.objects.exists()
    actions = [one.action for one in OperatorAction.objects.order_by("pk")]
    assert actions == ["add webhook", "test webhook", "delete webhook"]


def test_who_may_only_look_sees_none(db: None) -> None:
    who = logged_in(person("view_webhook", "operate_job", email="lou@example.com"))
    assert who.get("/admin/jobs/webhook/").status_code == 403
