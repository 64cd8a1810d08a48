"""What a task hides: taken out of every text, and out of every key and digest."""

import hashlib
import json
import os
import time
from typing import Any

import pytest
from celery import current_app
from django.test import Client
from hypothesis import given, strategies as st
from kombu.message import Message
from pytest_django import Settings

from jobs import JobTask
from jobs.core.digests import digests
from jobs.core.outcome import Reason
from jobs.deadletters.publisher import dead_letter_of
from jobs.enqueue.message import IDEMPOTENCY_HEADER
from jobs.errors import InvalidArguments
from jobs.ledger.claims import claim_many
from jobs.models import Job
from jobs.operations import tokens
from jobs.tasks.redaction import HIDDEN, PIECE, without_hidden
from jobs.worker.requests import request_of
from jobs.worker.reserved import ReservedJob
from tests.jobs.api.conftest import Api
from tests.jobs.dashboard.letters import letter
from tests.jobs.people import operator
from tests.jobs.rows import waiting, written
from tests.tasks_app import tasks

DISCREET = tasks.discreet.name
SECRET = "hunter2-and-more"  # noqa: S105 (nobody's)


def cleaned(text: str, secret: Any = SECRET, **kwargs: Any) -> str:
    return without_hidden(DISCREET, (), {"name": "ada", "secret": secret, **kwargs}, text)


@pytest.mark.parametrize(
    "secret, text, clean",
    [
        (SECRET, f"no such {SECRET}!", f"no such {HIDDEN}!"),
        (SECRET, "no such hunter2-and-… or …2-and-more", f"no such {HIDDEN}… or …{HIDDEN}"),
        (SECRET, "ada hunts", "ada hunts"),
        (4711, "PIN 4711 of 147110", f"PIN {HIDDEN} of 147110"),
        ("4711", "PIN '4711', PIN4711, pin_4711", f"PIN '{HIDDEN}', PIN{HIDDEN}, pin_{HIDDEN}"),
        ("a-b c", "<a-b c> and a-b cd", f"<{HIDDEN}> and a-b cd"),
        (SECRET, f"no {SECRET.upper()} and {SECRET.title()}", f"no {HIDDEN} and {HIDDEN}"),
        ("Ada", "ADA is no adagio", f"{HIDDEN} is no adagio"),
        (7, "7 of 9", "7 of 9"),
        (True, "True", "True"),
        (None, "None", "None"),
        ({"deep": [{"er": SECRET}]}, SECRET, HIDDEN),
        ({SECRET: 1}, f"KeyError: '{SECRET}'", f"KeyError: '{HIDDEN}'"),
        ("line\none é", "'line\\none \\u00e9' 'line\\none é'", f"'{HIDDEN}' '{HIDDEN}'"),
        (
            "any",
            "Input should be a valid integer [type=int_parsing, input_value='12...89', input_type=str]",
            f"Input should be a valid integer [type=int_parsing, input_value={HIDDEN}, input_type=str]",
        ),
    ],
)
def test_hidden_values_are_taken_out_of_a_text(secret: Any, text: str, clean: str) -> None:
    assert cleaned(text, secret) == clean


@given(st.text(min_size=PIECE), st.text(), st.text(), st.booleans())
def test_no_long_piece_of_a_secret_stays_in_a_text(secret: str, before: str, after: str, as_python: bool) -> None:
    shown = repr(secret)[1:-1] if as_python else secret
    clean = cleaned(f"{before}{shown}{after}", secret)
    left = [shown[start : start + PIECE] for start in range(len(shown) - PIECE + 1)]
    assert not any(piece in part for part in clean.split(HIDDEN) for piece in left)


@given(st.text(), st.integers(0, 10))
def test_a_text_without_a_secret_stays_as_it_is(text: str, number: int) -> None:
    assert cleaned(text, "\x00" * PIECE) == text or "\x00" * PIECE in text
    assert without_hidden(tasks.note.name, (), {"effect": text}, text) == text


def test_many_hidden_values_cost_no_more_than_their_length() -> None:
    numbers = list(range(100, 60_000))
    text = "99 100 59999 60000 " * 1_000
    began = time.process_time()
    assert cleaned(text, numbers) == f"99 {HIDDEN} {HIDDEN} 60000 " * 1_000
    assert without_hidden(DISCREET, (), {"secret": "x" * 1_000_000}, "y" * 20_000) == "y" * 20_000
    assert cleaned("a- b" * 5_000, [f"{n}-{n}" for n in range(100, 60_000)]) == "a- b" * 5_000
    assert time.process_time() - began < 5


def test_nothing_is_known_of_a_task_that_is_not_known_here() -> None:
    assert without_hidden("gone", (SECRET,), {}, f"<{SECRET}>") == f"<{HIDDEN}>"


# --- Keys and digests -----------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("unique", [True, f"key of {SECRET}"])
def test_a_unique_key_tells_nothing_of_what_is_hidden(unique: bool | str, settings: Settings) -> None:
    def key() -> str:
        return str(tasks.discreet.apply_async((), {"name": "ada", "secret": SECRET}, unique=unique).job.unique_key)

    text = json.dumps({"name": "ada", "secret": SECRET}) if unique is True else f"{DISCREET}:{unique}"
    kept = key()
    assert SECRET not in kept
    assert hashlib.sha256(text.encode()).hexdigest() not in kept
    settings.SECRET_KEY = "another"  # noqa: S105
    assert key() != kept


@pytest.mark.django_db
def test_a_key_of_what_everybody_may_see_can_be_read() -> None:
    assert tasks.note.apply_async(("x",), unique="order:1").job.unique_key == f"{tasks.note.name}:order:1"


@pytest.mark.django_db
@pytest.mark.parametrize("call", [{"unique": True}, {"unique": "order:1"}, {}])
def test_a_job_that_waits_is_found_after_the_secret_key_was_changed(call: dict[str, Any], settings: Settings) -> None:
    task = tasks.discreet if call else tasks.confide
    arguments = {"name": "ada", "secret": SECRET} if call else {"how": "return", "secret": SECRET}
    settings.SECRET_KEY_FALLBACKS = ["older still"]
    first = task.apply_async((), arguments, **call)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", [settings.SECRET_KEY, "older still"]
    assert task.apply_async((), arguments, **call).id == first.id
    assert [result.id for result in task.delay_many([arguments, arguments], **call)] == [first.id] * 2


def test_a_digest_depends_on_purpose_text_and_key(settings: Settings) -> None:
    before = digests("a", "x")
    assert len({*before, *digests("b", "x"), *digests("a", "y"), *digests("a", "\ud800")}) == 4
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", [settings.SECRET_KEY]
    assert digests("a", "x")[1:] == before


BODY = {"task": tasks.confide.name, "kwargs": {"how": "return", "secret": SECRET}}


@pytest.fixture
def api(valkey: object) -> Api:
    """The holder of a token that may do everything."""
    return Api(tokens.create("test", ["read", "submit"], by="test")[1])


@pytest.mark.django_db(transaction=True)
def test_an_idempotent_request_is_known_after_the_secret_key_was_changed(api: Api, settings: Settings) -> None:
    first = api.post("jobs", BODY, Idempotency_Key="k")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", [settings.SECRET_KEY]
    again = api.post("jobs", BODY, Idempotency_Key="k")
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    other = {**BODY, "kwargs": {"how": "return", "secret": "another"}}
    assert api.post("jobs", other, Idempotency_Key="k").status_code == 409


@pytest.mark.django_db(transaction=True)
def test_an_idempotent_request_keeps_no_digest_that_can_be_tried_out(api: Api) -> None:
    api.post("jobs", BODY, Idempotency_Key="k")
    job = Job.objects.get()
    every = {"run_at": None, "priority": None, "queue": None, "unique": None, "correlation_id": None}
    plain = hashlib.sha256(json.dumps({**BODY, **every}, sort_keys=True).encode()).hexdigest()
    assert job.options is not None
    kept = job.options["headers"][IDEMPOTENCY_HEADER]
    assert kept != plain
    # Jobs from before digests had a key are known by the old one.
    Job.objects.update(options={"headers": {IDEMPOTENCY_HEADER: plain}})
    assert api.post("jobs", BODY, Idempotency_Key="k").status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("header", [IDEMPOTENCY_HEADER, "argsrepr", "kwargsrepr"])
def test_no_page_shows_headers_made_of_arguments(header: str) -> None:
    job = waiting(task=DISCREET, unique_key=f"{DISCREET}:{SECRET}", options={"headers": {header: SECRET}})
    found = letter(task=DISCREET, headers={"task": DISCREET, header: SECRET})
    client: Client = operator()
    for path in (f"/jobs/{job.pk}/", f"/admin/jobs/job/{job.pk}/change/", f"/jobs/dead/{found.pk}/"):
        assert SECRET not in client.get(path).text


# --- Errors at the call ---------------------------------------------------------------------------


@pytest.mark.parametrize("value", [{SECRET}, object, float("nan")])
def test_what_cannot_be_written_is_not_repeated(value: Any) -> None:
    with pytest.raises(InvalidArguments) as raised:
        tasks.discreet.delay("ada", [SECRET, value])  # type: ignore[arg-type]
    assert SECRET not in str(raised.value)
    assert "JSON" in str(raised.value)


@pytest.mark.parametrize(
    "task, argument, rule",
    [(tasks.pinned, {"digits": SECRET}, "int_parsing"), (tasks.deliver, {"street": SECRET}, "number: Field required")],
)
def test_a_model_is_checked_without_repeating_what_it_was_given(task: JobTask, argument: Any, rule: str) -> None:
    with pytest.raises(InvalidArguments) as raised:
        task.delay(argument)
    assert SECRET not in str(raised.value)
    assert f"is not valid: {rule}." in str(raised.value)


@pytest.mark.django_db
def test_a_worker_shows_nothing_of_what_is_hidden() -> None:
    row = written(task=DISCREET, args=json.dumps(["ada", SECRET]))
    (claimed,) = claim_many({row.pk: "a" * 32}, lease_seconds=60, worker="worker@test").claimed
    reserved = ReservedJob(claimed, current_app.tasks[DISCREET], "worker@test")
    request = request_of(current_app.tasks[claimed.task], claimed, ["ada", SECRET], {}, "worker@test", os.getpid())
    shown = [reserved.info(), reserved.info(safe=True), repr(reserved), request.argsrepr, request.kwargsrepr]
    assert SECRET not in str(shown)
    assert reserved.info()["args"] == ["ada", HIDDEN]


def test_a_message_made_by_celery_has_no_copy_of_what_is_hidden() -> None:
    message = current_app.amqp.create_task_message("x", DISCREET, ["ada", SECRET], {}, create_sent_event=True)
    assert SECRET not in str((message.headers, message.sent_event))
    plain = current_app.amqp.create_task_message("x", tasks.note.name, ["shown"], {})
    assert "shown" in plain.headers["argsrepr"]


@pytest.mark.parametrize("task, kept", [(DISCREET, HIDDEN), ("gone", HIDDEN), (tasks.note.name, "['x']")])
def test_a_dead_letter_repeats_arguments_in_no_header(task: str, kept: str) -> None:
    headers = {"task": task, "id": "x", "argsrepr": "['x']", "kwargsrepr": ""}
    message = Message(body="[", headers=headers, content_type="application/json", delivery_info={}, properties={})
    found = dead_letter_of(message, "default", Reason.UNREADABLE, "no JSON").message.headers
    assert (found["argsrepr"], found["kwargsrepr"]) == (kept, "")
