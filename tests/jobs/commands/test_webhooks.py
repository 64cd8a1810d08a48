"""`webhooks list`, `add`, `change`, `delete`, `deliveries`, `redeliver`, `test`."""

import pytest

from jobs.cli.verb import Exit
from jobs.models import Job, Webhook
from tests.jobs.commands.conftest import Run
from tests.jobs.webhook_rows import URL, died

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nobody_subscribed"), pytest.mark.any_database]

ADD = ("webhooks", "add", "crm", URL, "--state", "dead", "--task", "mail.*")


def test_a_webhook_is_added_and_its_secret_shown_once(run: Run) -> None:
    answer = run(*ADD, "--json").answer
    row = Webhook.objects.get()
    assert (answer["secret"], row.tasks, row.states) == (row.secret, ["mail.*"], ["dead"])
    assert row.created_by.endswith("(command line)")
    listed = run("webhooks", "list").out + run("webhooks", "list", "--json").out
    assert "https://crm.example.com/…" in listed
    assert "s3cr3t" not in listed
    assert row.secret not in listed


@pytest.mark.parametrize(
    "words",
    [("crm", "https://10.0.0.1/", "--state", "dead"), ("crm", URL), ("crm", URL, "--state", "dead", "--task", "")],
)
def test_what_no_webhook_can_be_is_refused(run: Run, words: tuple[str, ...]) -> None:
    ran = run("webhooks", "add", *words)
    assert (ran.code, "is not valid" in ran.error or "public address" in ran.error) == (Exit.FAILED, True)
    assert not Webhook.objects.exists()


def test_a_webhook_is_changed_disabled_and_enabled_by_name_or_number(run: Run) -> None:
    run(*ADD)
    row = Webhook.objects.get()
    run("webhooks", "change", "crm", "--disable", "--name", "sales", "--all-tasks")
    secret = run("webhooks", "change", row.pk, "--new-secret", "--json").answer["secret"]
    before = row.secret
    row.refresh_from_db()
    assert (row.name, row.enabled, row.tasks, row.url) == ("sales", False, [], URL)
    assert secret == row.secret != before
    run("webhooks", "change", "sales", "--enable")
    assert Webhook.objects.get().enabled
    assert run("webhooks", "change", "sales").code is Exit.USAGE
    assert run("webhooks", "change", "nobody", "--enable").code is Exit.FAILED


def test_deleting_is_confirmed(run: Run) -> None:
    run(*ADD)
    assert run("webhooks", "delete", "crm").code is Exit.NOT_CONFIRMED
    assert run("webhooks", "delete", "crm", "--yes").code is Exit.DONE
    assert not Webhook.objects.exists()


def test_deliveries_are_listed_and_those_that_died_made_again(run: Run) -> None:
    run(*ADD)
    job = died(Webhook.objects.get())
    (told,) = run("webhooks", "deliveries", "crm", "--state", "dead", "--json").answer["deliveries"]
    assert (told["id"], told["event"], told["job_id"]) == (
        str(job.pk),
        "job.dead",
        str(Job.objects.get(task="mail.send").pk),
    )
    assert "it answered <404>" in run("webhooks", "deliveries", "crm").out
    assert run("webhooks", "redeliver", "crm").code is Exit.USAGE
    assert run("webhooks", "redeliver", "crm", "--all").code is Exit.NOT_CONFIRMED
    assert run("webhooks", "redeliver", "crm", "--all", "--yes", "--json").answer["changed"] == 1
    job.refresh_from_db()
    assert job.state == "queued"


def test_a_test_is_a_job(run: Run) -> None:
    run(*ADD)
    job_id = run("webhooks", "test", "crm", "--json").answer["job_id"]
    assert Job.objects.get(pk=job_id).task == "jobs.webhook"


def test_a_job_is_shown_with_what_webhooks_are_told_of_it(run: Run) -> None:
    run(*ADD)
    job = died(Webhook.objects.get())
    of_job = job.webhook_delivery.of_job
    assert [one["id"] for one in run("show", of_job, "--json").answer["deliveries"]] == [str(job.pk)]
    assert "told webhook  event     state  answer  job" in run("show", of_job).out
