"""The pages of webhooks: who is told what, what came of it, and what an operator does about it."""

import pytest
from django.test import Client

from jobs.models import OperatorAction, Webhook
from tests.jobs.people import logged_in, person
from tests.jobs.webhook_rows import died, webhook

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nobody_subscribed")]


@pytest.fixture
def crm(db: None) -> Webhook:
    """A webhook."""
    return webhook(name="<crm>")


def text(client: Client, path: str, under: str = "/jobs/webhooks/") -> str:
    answer = client.get(f"{under}{path}")
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_where_nobody_is_told_the_page_leads_to_making_the_first(viewer: Client) -> None:
    assert "Nobody is told yet" in text(viewer, "")
    assert "Make the first one" not in text(viewer, "")
    keeper = logged_in(person("view_job", "add_webhook", email="kay@example.com"))
    assert "/admin/jobs/webhook/add/" in text(keeper, "")


def test_the_list_says_how_each_fares_and_no_secret(viewer: Client, crm: Webhook) -> None:
    assert "none yet" in text(viewer, "?fresh=1")
    died(crm)
    shown = text(viewer, "?fresh=1")
    assert all(word in shown for word in ("&lt;crm&gt;", "https://crm.<wbr>example.<wbr>com/…", "mail.<wbr>*", ">0 %<"))
    assert "?state=dead" in shown
    assert "s3cr3t" not in shown
    assert crm.secret not in shown


def test_a_webhook_lists_its_deliveries_with_jobs_answers_and_errors(viewer: Client, crm: Webhook) -> None:
    job = died(crm)
    shown = text(viewer, f"{crm.pk}/")
    assert all(word in shown for word in ("job.dead", "mail.<wbr>send", "404", "it answered &lt;404&gt;"))
    assert f"/jobs/{job.pk}/" in shown
    assert f"/jobs/{job.webhook_delivery.of_job}/" in shown
    assert "s3cr3t" not in shown
    assert "<form" not in shown.split('id="deliveries"')[1]


@pytest.mark.parametrize("state, found", [("dead", True), ("waiting", False), ("succeeded", False), ("nothing", True)])
def test_deliveries_are_told_apart_by_state(viewer: Client, crm: Webhook, state: str, found: bool) -> None:
    died(crm)
    assert ("it answered" in text(viewer, f"{crm.pk}/?state={state}")) is found


def test_older_deliveries_are_on_further_pages(viewer: Client, crm: Webhook) -> None:
    for number in range(51):
        died(crm, f"error number {number}.")
    shown = text(viewer, f"{crm.pk}/?state=dead")
    assert "error number 0." not in shown
    older = shown.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")
    assert "error number 0." in text(viewer, f"{crm.pk}/{older}")
    assert viewer.get(f"/jobs/webhooks/{crm.pk}/?after=x").status_code == 302


def test_an_operator_delivers_one_again_at_once_and_all_that_died_after_a_question(
    operator: Client, crm: Webhook
) -> None:
    first, second = died(crm), died(crm)
    address = f"/jobs/webhooks/{crm.pk}/redeliver"
    back = f"/jobs/webhooks/{crm.pk}/"
    assert operator.post(address, {"id": str(first.pk), "next": back}).url == back  # type: ignore[attr-defined]
    first.refresh_from_db()
    assert first.state == "queued"
    asked = operator.post(address, {"next": back})
    assert "Deliver again 1 event?" in asked.content.decode()
    second.refresh_from_db()
    assert second.state == "dead"
    operator.post(address, {"confirmed": "1", "next": back})
    second.refresh_from_db()
    assert second.state == "queued"
    assert [one.action for one in OperatorAction.objects.order_by("pk")][1:] == ["redeliver", "redeliver"]


def test_an_id_that_is_none_delivers_nothing(operator: Client, crm: Webhook) -> None:
    job = died(crm)
    assert operator.post(f"/jobs/webhooks/{crm.pk}/redeliver", {"id": "x", "confirmed": "1"}).status_code == 404
    job.refresh_from_db()
    assert job.state == "dead"


def test_an_operator_disables_enables_and_tests(operator: Client, crm: Webhook) -> None:
    operator.post(f"/jobs/webhooks/{crm.pk}/disable")
    assert not Webhook.objects.get().enabled
    assert "disabled" in text(operator, f"{crm.pk}/")
    operator.post(f"/jobs/webhooks/{crm.pk}/enable")
    assert Webhook.objects.get().enabled
    answer = operator.post(f"/jobs/webhooks/{crm.pk}/test", follow=True)
    assert "A test is on its way to &lt;crm&gt;" in answer.content.decode()
    assert "webhook.test" in answer.content.decode()


@pytest.mark.parametrize("verb", ["redeliver", "test", "enable", "disable"])
def test_whoever_may_only_look_may_not_act_and_nobody_on_what_is_not_there(
    viewer: Client, operator: Client, crm: Webhook, verb: str
) -> None:
    actions = OperatorAction.objects.count()
    assert viewer.post(f"/jobs/webhooks/{crm.pk}/{verb}").status_code == 403
    assert operator.get(f"/jobs/webhooks/{crm.pk}/{verb}").status_code == 405
    assert operator.post(f"/jobs/webhooks/{'9' * 30}/{verb}").status_code == 404
    assert (
        logged_in(person("view_job", "operate_job", email="c@example.com"), csrf=True)
        .post(f"/jobs/webhooks/{crm.pk}/{verb}")
        .status_code
        == 403
    )
    assert OperatorAction.objects.count() == actions


def test_a_job_lists_what_tells_webhooks_of_it_and_each_leads_back(viewer: Client, crm: Webhook) -> None:
    delivery = died(crm)
    of_job = delivery.webhook_delivery.of_job
    shown = text(viewer, f"{of_job}/", "/jobs/")
    assert f'href="/jobs/{delivery.pk}/">job.dead to &lt;crm&gt;</a> <span class="soft number">404</span>' in shown
    assert "Of the same request" not in shown
    told = text(viewer, f"{delivery.pk}/", "/jobs/")
    assert f'<a href="/jobs/webhooks/{crm.pk}/">&lt;crm&gt;</a> of <b>job.dead</b> <a href="/jobs/{of_job}/">' in told
    assert "Told to webhooks" not in told
