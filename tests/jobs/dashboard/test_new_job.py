"""`/jobs/new/`: any task run from a form that is made of its signature."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from jobs.models import Job, OperatorAction
from jobs.tasks.registry import registered
from tests.jobs.people import VIEW, logged_in, person
from tests.tasks_app import tasks

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]

NEW = "/jobs/new/"


@pytest.fixture
def runner(db: None) -> Client:
    """Someone who may run any task."""
    return logged_in(person(*VIEW, "run_task", email="rita@example.com"))


@pytest.fixture
def submitter(db: None) -> Client:
    """Someone who may run what is public."""
    return logged_in(person(*VIEW, "add_job", email="sam@example.com"))


def address(task: Any) -> str:
    return f"{NEW}?task={task.name}"


def post(client: Client, task: Any, **given: str) -> Any:
    fields = {name if name in OPTIONS else f"argument-{name}": value for name, value in given.items()}
    return client.post(address(task), {"once": "a", **fields}, follow=True)


OPTIONS = {"many", "queue", "priority", "run_at", "once"}


def said(answer: Any) -> str:
    return " ".join(str(message) for message in answer.context["messages"])


def wrong(answer: Any) -> dict[str, list[str]]:
    assert answer.status_code == 422
    form = answer.context["form"]
    return {**{one.field.name: one.errors for one in form.inputs if one.errors}, **form.errors}


def inputs(answer: Any) -> dict[str, Any]:
    return {one.field.name: one for one in answer.context["form"].inputs}


def test_a_task_is_run_with_typed_arguments_and_the_form_ends_on_its_job(runner: Client) -> None:
    answer = post(runner, tasks.public_note, effect="x", times="2")
    job = Job.objects.get()
    assert answer.redirect_chain == [(f"/jobs/{job.pk}/", 302)]
    assert (job.kwargs, job.state) == ({"effect": "x", "times": 2}, "queued")
    assert said(answer) == f"{tasks.public_note.name} is queued on queue default, as this job."


def test_who_ran_a_task_is_on_record_without_its_arguments(runner: Client) -> None:
    post(runner, tasks.discreet, name="Ann", secret="Xyzzy")
    action = OperatorAction.objects.get()
    assert (action.action, action.actor, action.count) == ("submit", "rita@example.com", 1)
    assert action.target == {"task": tasks.discreet.name, "jobs": [str(Job.objects.get().pk)]}


def test_only_public_tasks_are_offered_to_those_who_may_submit(submitter: Client, runner: Client) -> None:
    offered = {one.name for one in submitter.get(NEW).context["choices"]}
    assert tasks.public_note.name in offered
    assert tasks.note.name not in offered
    assert tasks.note.name in {one.name for one in runner.get(NEW).context["choices"]}


@pytest.mark.parametrize("name", ["jobs.accumulate", "jobs.error_link", "jobs.alert", "jobs.alert_test"])
def test_what_only_the_engine_enqueues_is_offered_to_nobody(name: str, runner: Client) -> None:
    assert name in registered()
    assert name not in [choice.name for choice in runner.get(NEW).context["choices"]]
    assert runner.get(NEW, {"task": name}).status_code == 404


def test_a_task_that_is_not_public_is_refused_to_those_who_may_submit(submitter: Client) -> None:
    assert submitter.get(address(tasks.note)).status_code == 404
    assert post(submitter, tasks.note, effect="x").status_code == 404
    assert not Job.objects.exists()


def test_viewers_and_operators_may_not_run_tasks(viewer: Client, operator: Client) -> None:
    assert viewer.get(NEW).status_code == 403
    assert operator.post(address(tasks.public_note), {"argument-effect": "x"}).status_code == 403
    assert not Job.objects.exists()


def test_a_stranger_is_asked_to_log_in(client: Client) -> None:
    assert client.get(NEW)["Location"].startswith("/log-in/")


@pytest.mark.parametrize("name", ["celery.backend_cleanup", tasks.plain.name, "nonsense", "a\u00e9/?&"])
def test_what_is_no_job_cannot_be_run(runner: Client, name: str) -> None:
    assert runner.get(NEW, {"task": name}).status_code == 404


@pytest.mark.parametrize(
    "given, errors",
    [
        ({}, {"effect": ["It is required."]}),
        ({"effect": "x", "times": "two"}, {"times": ["It must be a number."]}),
        ({"effect": "x", "times": "2.5"}, {"times": ["Input should be a valid integer."]}),
        ({"effect": "x", "times": "NaN"}, {"times": ["It must not contain NaN, which is no number of JSON."]}),
        ({"effect": "x", "run_at": "soon"}, {"run_at": ["It must be a date and time, such as 2026-01-31T08:30."]}),
        (
            {"effect": "x", "run_at": "2026-02-30T08:30"},
            {"run_at": ["It must be a date and time, such as 2026-01-31T08:30."]},
        ),
        ({"effect": "x", "priority": "10"}, {"priority": ["It must be a whole number from 0 to 9."]}),
        ({"effect": "x", "priority": "²"}, {"priority": ["It must be a whole number from 0 to 9."]}),
    ],
)
def test_what_is_wrong_stands_beside_its_field(
    runner: Client, given: dict[str, str], errors: dict[str, list[str]]
) -> None:
    answer = post(runner, tasks.public_note, **given)
    assert wrong(answer) == errors
    assert not Job.objects.exists()
    assert not OperatorAction.objects.exists()


def test_all_that_is_wrong_is_said_at_once(runner: Client) -> None:
    lines = '{"effect": 5}\nnonsense\n{"nope": 1}'
    found = wrong(post(runner, tasks.public_note, times="two", priority="11", many=lines))
    assert found["times"] == ["It must be a number."]
    assert found["effect"] == ["It is required."]
    assert found["priority"] == ["It must be a whole number from 0 to 9."]
    assert [told.split(":")[0] for told in found["many"]] == ["Line 2", "Line 1", "Line 3"]
    assert not Job.objects.exists()


def test_what_a_task_says_of_itself_is_shown_with_its_code_as_code(runner: Client) -> None:
    page = runner.get(NEW).text
    assert "`" not in page
    assert "<code>@name</code>" in page


def test_a_queue_that_nobody_knows_is_refused(runner: Client) -> None:
    (told,) = wrong(post(runner, tasks.public_note, effect="x", queue="nowhere"))["queue"]
    assert told.startswith("It must be one of ")


def test_what_was_typed_is_kept_beside_an_error(runner: Client) -> None:
    answer = post(runner, tasks.public_note, effect="two\r\nlines", times="x", priority="7")
    assert inputs(answer)["effect"].typed == "two\nlines"
    assert b'value="7"' in answer.content


def test_a_hidden_argument_is_a_password_and_is_never_sent_back(runner: Client) -> None:
    page = runner.get(address(tasks.discreet)).content.decode()
    assert 'type="password" id="argument-secret"' in page
    answer = post(runner, tasks.discreet, secret="Xyzzy-Plugh")
    assert wrong(answer) == {"name": ["It is required."]}
    assert b"Xyzzy-Plugh" not in answer.content
    post(runner, tasks.discreet, name="Ann", secret="Xyzzy-Plugh")
    assert Job.objects.get().kwargs == {"name": "Ann", "secret": "Xyzzy-Plugh"}


def test_a_hidden_argument_is_in_no_line(runner: Client) -> None:
    answer = post(runner, tasks.discreet, name="Ann", many='{"secret": "Xyzzy"}')
    assert wrong(answer)["many"] == ["Line 1: secret is hidden, so it is given in its own field, for all of them."]


def test_defaults_stand_in_their_fields(runner: Client) -> None:
    shown = inputs(runner.get(address(tasks.public_note)))
    assert (shown["effect"].typed, shown["times"].typed) == ("", "1")
    assert (shown["effect"].field.required, shown["times"].field.required) == (True, False)


def test_a_model_is_given_as_json_and_its_errors_name_the_place(runner: Client) -> None:
    assert inputs(runner.get(address(tasks.deliver)))["address"].field.kind == "json"
    (told,) = wrong(post(runner, tasks.deliver, address="{}"))["address"][:1]
    assert ": Field required" in told
    assert wrong(post(runner, tasks.deliver, address="{"))["address"][0].startswith("It is not JSON: ")


def test_a_tick_is_true_and_none_is_false(runner: Client) -> None:
    good = json.dumps({"street": "Elm", "number": 4})
    post(runner, tasks.deliver, address=good, urgent="on")
    post(runner, tasks.deliver, address=good, once="b")
    assert {job.kwargs["urgent"] for job in Job.objects.all()} == {True, False}


def test_arguments_without_a_field_are_given_as_an_object(runner: Client) -> None:
    post(runner, tasks.steer, how="well", options='{"colour": "red"}')
    assert Job.objects.get().kwargs == {"how": "well", "colour": "red"}
    assert wrong(post(runner, tasks.steer, how="well", options="[1]", once="b"))["options"] == [
        "It must be a JSON object: names and values in braces."
    ]


def test_a_job_is_put_off(runner: Client) -> None:
    post(runner, tasks.public_note, effect="x", run_at="2100-01-31T08:30")
    job = Job.objects.get()
    assert (job.state, job.run_at) == ("scheduled", datetime(2100, 1, 31, 8, 30, tzinfo=UTC))


def test_many_are_enqueued_at_once_and_shown_together(runner: Client) -> None:
    answer = post(
        runner, tasks.public_note, effect="x", times="1", many='{"times": 2}\r\n\r\n{"effect": "y"}\r\n{}', priority="9"
    )
    jobs = Job.objects.all()
    assert sorted((job.kwargs["effect"], job.kwargs["times"]) for job in jobs) == [("x", 1), ("x", 2), ("y", 1)]
    assert {job.priority for job in jobs} == {9}
    assert said(answer) == f"Enqueued 3 jobs of {tasks.public_note.name}."
    assert len(answer.context["listing"].rows) == 3
    assert OperatorAction.objects.get().count == 3


@pytest.mark.parametrize(
    "many, told",
    [
        ('{}\n{"times": "2"}', "Line 2: times: Input should be a valid integer."),
        ("{}\nnonsense", "Line 2: it is not JSON."),
        ("[1]", "Line 1: it must be a JSON object, such as {}."),
        ('{"times": NaN}', "Line 1: it must not contain NaN, which is no number of JSON."),
        ('{"colour": 1}', "Line 1: colour: is no argument of the task, which takes: effect, times."),
        ("{}\n" * 1001, "There are 1,001 lines; one form enqueues 1,000 jobs at most."),
    ],
)
def test_one_wrong_line_enqueues_nothing(runner: Client, many: str, told: str) -> None:
    assert wrong(post(runner, tasks.public_note, effect="x", many=many)) == {"many": [told]}
    assert not Job.objects.exists()


def test_a_form_sent_twice_enqueues_once(runner: Client) -> None:
    first = post(runner, tasks.public_note, effect="x", once="same")
    second = post(runner, tasks.public_note, effect="x", once="same")
    assert first.redirect_chain == second.redirect_chain
    assert Job.objects.count() == OperatorAction.objects.count() == 1


def test_what_the_ledger_refuses_is_said_in_the_form(runner: Client) -> None:
    answer = post(runner, tasks.public_note, effect="x" * 2_000_000)
    assert "too large" in wrong(answer)[""][0] or "bytes" in wrong(answer)[""][0]
    assert not Job.objects.exists()


def test_the_form_needs_its_token() -> None:
    browser = logged_in(person(*VIEW, "run_task"), csrf=True)
    assert browser.post(address(tasks.public_note), {"argument-effect": "x"}).status_code == 403
    assert not Job.objects.exists()


def test_the_list_of_jobs_leads_there_for_those_who_may(runner: Client, viewer: Client) -> None:
    assert b'href="/jobs/new/"' in runner.get("/jobs/list/").content
    assert b'href="/jobs/new/"' not in viewer.get("/jobs/list/").content
