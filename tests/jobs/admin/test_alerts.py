"""Targets of alerts in the admin: their URLs and secrets are shown to nobody, and a test says whether they work."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from jobs.models import AlertNotice, AlertTarget, Incident, Job, OperatorAction
from tests.jobs.people import logged_in, person

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey"), pytest.mark.any_database]

ADD = "/admin/jobs/alerttarget/add/"
SLACK = "https://hooks.slack.com/services/T0/B0/s3cr3t"


@pytest.fixture
def keeper(db: None) -> Client:
    """Someone who may set up alerts."""
    may = [f"{verb}_alerttarget" for verb in ("add", "change", "delete", "view")]
    return logged_in(person(*may, "view_incident", email="kay@example.com"))


def add(client: Client, kind: str, address: str, **more: str) -> Any:
    return client.post(ADD, {"name": "ops", "kind": kind, "address": address, "enabled": "on", **more}, follow=True)


def change(client: Client, **given: str) -> Any:
    target = AlertTarget.objects.get()
    values = {"name": target.name, "kind": target.kind, "address": "", "enabled": "on", **given}
    return client.post(reverse("admin:jobs_alerttarget_change", args=[target.pk]), values, follow=True)


def wrong(answer: Any) -> list[str]:
    return [error for errors in answer.context["adminform"].form.errors.values() for error in errors]


def test_a_url_is_shown_to_nobody_again_and_kept_when_left_empty(keeper: Client) -> None:
    add(keeper, "slack", SLACK)
    target = AlertTarget.objects.get()
    listed = keeper.get("/admin/jobs/alerttarget/").content.decode()
    page = keeper.get(f"/admin/jobs/alerttarget/{target.pk}/change/").content.decode()
    assert "https://hooks.slack.com/…" in listed
    assert "https://hooks.slack.com/…" in page
    assert "s3cr3t" not in listed + page
    assert "s3cr3t" not in change(keeper, name="night").content.decode()
    target.refresh_from_db()
    assert (target.name, target.address) == ("night", SLACK)


def test_the_secret_of_a_webhook_is_made_here_and_shown_once(keeper: Client) -> None:
    answer = add(keeper, "webhook", "https://example.com/hook")
    target = AlertTarget.objects.get()
    assert target.secret.startswith("whsec_")
    assert target.secret in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert target.secret not in keeper.get(f"/admin/jobs/alerttarget/{target.pk}/change/").content.decode()


def test_a_new_secret_is_made_where_one_is_asked_for(keeper: Client) -> None:
    add(keeper, "webhook", "https://example.com/hook")
    before = AlertTarget.objects.get().secret
    assert before not in change(keeper).content.decode()
    assert AlertTarget.objects.get().secret == before
    answer = change(keeper, new_secret="on")
    after = AlertTarget.objects.get().secret
    assert after != before
    assert after in answer.content.decode()


@pytest.mark.parametrize(
    "kind, address, says",
    [
        ("mail", "nobody", "valid email address"),
        ("mail", SLACK, "valid email address"),
        ("slack", "ops@example.com", "must begin with https://"),
        ("webhook", "http://127.0.0.1/hook", "no public address"),
        ("webhook", "https://user:pw@example.com/", "no user and password"),
        ("webhook", "", "required"),
    ],
)
def test_an_address_that_does_not_fit_its_kind_is_refused(keeper: Client, kind: str, address: str, says: str) -> None:
    assert says in " ".join(wrong(add(keeper, kind, address)))
    assert not AlertTarget.objects.exists()


def test_quiet_hours_have_both_ends(keeper: Client) -> None:
    (said,) = wrong(add(keeper, "mail", "ops@example.com", quiet_from="22:00"))
    assert "both or neither" in said


def test_a_test_is_a_job_that_the_page_leads_to(keeper: Client) -> None:
    answer = add(keeper, "mail", "ops@example.com", _test="1")
    job = Job.objects.get()
    assert job.task == "jobs.alert_test"
    assert f'href="/jobs/{job.pk}/"' in answer.content.decode()
    change(keeper, address="ops@example.com", _test="1")
    assert Job.objects.count() == 2


def test_what_is_changed_is_on_record_without_an_address(keeper: Client) -> None:
    add(keeper, "slack", SLACK)
    change(keeper)
    keeper.post(f"/admin/jobs/alerttarget/{AlertTarget.objects.get().pk}/delete/", {"post": "yes"})
    assert not AlertTarget.objects.exists()
    actions = OperatorAction.objects.order_by("pk")
    assert [one.action for one in actions] == ["add alerts", "change alerts", "delete alerts"]
    assert {str(one.target) for one in actions} == {"{'target': 'ops'}"}
    assert {one.actor for one in actions} == {"kay@example.com"}


def test_who_may_only_look_sees_no_target(operator_who_looks: Client, keeper: Client) -> None:
    add(keeper, "slack", SLACK)
    assert operator_who_looks.get("/admin/jobs/alerttarget/").status_code == 403


@pytest.fixture
def operator_who_looks(db: None) -> Client:
    """Someone who may see targets and not change them."""
    return logged_in(person("view_alerttarget", "operate_job", email="lou@example.com"))


def test_incidents_say_who_was_told(keeper: Client) -> None:
    add(keeper, "mail", "ops@example.com")
    now = "2026-01-31T12:00Z"
    incident = Incident.objects.create(cause="x", text="Bad <b>thing</b>", room="overview", opened_at=now, seen_at=now)
    AlertNotice.objects.create(target=AlertTarget.objects.get(), incident=incident, created_at=now, told_at=now)
    page = keeper.get("/admin/jobs/incident/").content.decode()
    assert "Bad &lt;b&gt;thing" in page
    assert '<td class="field-told">ops</td>' in page
