"""`@job(encrypt=True)`: who has a key reads its arguments, and nobody else does."""

import json
from typing import Any

import pytest
from celery import current_app
from cryptography.fernet import Fernet
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse
from hypothesis import given, strategies as st
from pytest_django import Settings

from jobs import job
from jobs.core.states import State
from jobs.errors import EncryptionError, InvalidOption
from jobs.maintenance.held_back import HeldBack
from jobs.models import DeadLetter, Job, JobGroup, Step
from jobs.operations.dead_letter_actions import corrected_arguments, replay_corrected
from jobs.operations.filters import JobFilter
from jobs.operations.job_json import job_json, shown_result
from jobs.reports.deploy import unrunnable
from jobs.reports.facts import held_back
from jobs.tasks.encryption import MARK, arguments_of, is_current
from jobs.testing import assert_enqueued, run_jobs
from project import keys
from tests.environment import ENCRYPTION_KEY
from tests.jobs.commands.conftest import Run, run  # noqa: F401 (a fixture)
from tests.jobs.people import operator
from tests.tasks_app import tasks
from tests.tasks_app.effects import VARIABLE
from tests.tasks_app.sealed import sealed

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("jobs_in_memory", "effects_file"),
    pytest.mark.any_database,
]

SECRET = "xyzzy-plugh-90210"  # noqa: S105 (nobody's)
OTHER_KEY, THIRD_KEY = (Fernet.generate_key().decode() for _ in range(2))


@pytest.fixture
def effects_file(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tasks leave their effects in a file."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "effects"))


def kept() -> str:
    """Return all that the ledger and the dead letters keep, as text."""
    rows: list[Any] = []
    for model in (Job, JobGroup, Step, DeadLetter):
        rows += model._default_manager.values()
    return str([{name: bytes(v) if isinstance(v, memoryview) else v for name, v in row.items()} for row in rows])


def a_letter(secret: str = SECRET) -> DeadLetter:
    """Return the dead letter of a job that had this secret."""
    sealed.delay("dead", secret)
    run_jobs()
    (letter,) = DeadLetter.objects.all()
    return letter


def test_a_job_is_kept_encrypted_and_runs_with_its_arguments() -> None:
    result = sealed.delay("good", SECRET, more={"deep": [1, None, "é"]})
    assert list(result.job.kwargs) == [MARK]
    assert result.job.args == []
    assert_enqueued(sealed, kwargs={"secret": SECRET})
    run_jobs()
    assert (result.state, result.get()) == ("SUCCESS", SECRET)
    assert SECRET not in kept()
    assert "xyzzy" not in kept()


def test_no_two_jobs_have_the_same_text_though_their_arguments_are_the_same() -> None:
    one, two = (sealed.apply_async(("good", SECRET), unique=False).job for _ in range(2))
    assert one.kwargs != two.kwargs


def test_a_unique_job_is_found_by_what_nobody_reads() -> None:
    assert sealed.delay("good", SECRET).id == sealed.delay("good", SECRET).id
    assert sealed.delay("good", "another").is_new


def test_people_see_that_it_is_encrypted_and_cannot_search_for_it() -> None:
    client = operator()
    found = sealed.delay("good", SECRET).job
    assert job_json(found)["kwargs"] == {"how": "[encrypted]", "secret": "[encrypted]", "more": "[encrypted]"}
    page = client.get(reverse("jobs:job", args=[found.pk])).content.decode()
    assert "encrypted" in page
    assert SECRET not in page
    assert found.kwargs[MARK] not in page
    assert JobFilter(text="xyzzy").jobs().count() == 0
    assert JobFilter(kwargs=(("secret", SECRET),)).jobs().count() == 0


def test_a_result_that_is_encrypted_is_shown_to_nobody() -> None:
    result = sealed.delay("good", SECRET)
    run_jobs()
    kept_result: Any = result.job.result
    assert is_current(kept_result[MARK])
    assert shown_result(result.job) == "[redacted]"


def test_a_dead_letter_is_corrected_without_being_shown() -> None:
    letter = a_letter()
    shown = {"how": "good", "secret": "[encrypted]", "more": "[encrypted]"}
    args, kwargs = corrected_arguments(letter, shown)
    assert (args, kwargs) == ([], {"how": "good", "secret": SECRET})
    corrected = replay_corrected(letter, args, kwargs, actor="tests")
    assert SECRET not in str(Job.objects.get(pk=corrected).kwargs)
    run_jobs()
    assert Job.objects.get(pk=corrected).state == State.SUCCEEDED


def test_a_job_without_its_key_waits_says_so_and_runs_when_the_key_is_there(settings: Settings) -> None:
    result = sealed.delay("good", SECRET)
    settings.JOBS_ENCRYPTION_KEYS = [OTHER_KEY]
    run_jobs()
    waits = result.job
    assert (waits.state, waits.held_by, waits.attempt) == (State.QUEUED, "no-key", 0)
    assert waits.held_back == "waits for a worker with its key"
    assert "none of the keys in JOBS_ENCRYPTION_KEYS (1) reads it" in waits.last_error
    (one,) = unrunnable()
    assert "its arguments cannot be read" in one.why
    assert "JOBS_ENCRYPTION_KEYS" in one.why
    found = held_back()
    assert found is not None
    assert (found.count, found.without_key) == (1, 1)
    HeldBack(current_app, lambda _: None).look()
    assert Job.objects.get().held_by == "no-key"
    settings.JOBS_ENCRYPTION_KEYS = [OTHER_KEY, ENCRYPTION_KEY]
    HeldBack(current_app, lambda _: None).look()
    run_jobs()
    assert result.state == "SUCCESS"


def test_without_a_key_nothing_is_enqueued_and_the_check_names_the_task(settings: Settings) -> None:
    settings.JOBS_ENCRYPTION_KEYS = []
    with pytest.raises(EncryptionError, match="JOBS_ENCRYPTION_KEYS holds no key"):
        sealed.delay("good", SECRET)
    assert not Job.objects.exists()
    errors = [error.msg for error in run_checks() if error.id == "jobs.E006"]
    assert f"{sealed.name} encrypts its arguments (encrypt=True), and JOBS_ENCRYPTION_KEYS holds no key." in errors
    tasks.note.delay("others go on")


def test_what_is_no_key_is_refused_at_start_and_not_shown(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setenv("JOBS_ENCRYPTION_KEYS", f"{OTHER_KEY}, hunter2")
    with pytest.raises(ImproperlyConfigured, match=r"key 2 of 2; secret\) is not valid") as refused:
        keys.encryption_keys("JOBS_ENCRYPTION_KEYS")
    assert "hunter2" not in str(refused.value)
    settings.JOBS_ENCRYPTION_KEYS = ["hunter2"]
    assert [error.id for error in run_checks() if "JOBS_ENCRYPTION_KEYS" in error.msg] == ["jobs.E001"]


@pytest.mark.parametrize("value", [1, "yes", None])
def test_encrypt_is_true_or_false(value: Any) -> None:
    with pytest.raises(InvalidOption, match="encrypt"):
        job(encrypt=value)


def test_keys_are_changed_with_nothing_lost(settings: Settings, run: Run) -> None:  # noqa: F811 (the fixture)
    sealed.delay("waits", SECRET)
    (tasks.note.s("x") | sealed.si("follows", SECRET)).apply_async(countdown=60)
    tasks.note.apply_async(("a",), link_error=sealed.si("linked", SECRET), countdown=60)
    a_letter()
    before = kept()
    settings.JOBS_ENCRYPTION_KEYS = [OTHER_KEY, ENCRYPTION_KEY]
    dry = run("reencrypt", "--dry-run", "--json")
    assert dry.answer["written"] == {"jobs": 4, "dead letters": 1, "steps": 4}
    assert kept() == before
    assert run("reencrypt").code == 0
    assert run("reencrypt", "--json").answer["written"] == {}
    settings.JOBS_ENCRYPTION_KEYS = [OTHER_KEY]
    assert {str(arguments_of(one.args, one.kwargs)) for one in Job.objects.filter(task=sealed.name)} == {
        str((["waits", SECRET], {})),
        str((["dead", SECRET], {})),
    }
    letter = DeadLetter.objects.get()
    args, kwargs, _ = json.loads(bytes(letter.body))
    assert arguments_of(args, kwargs) == arguments_of(letter.args or [], letter.kwargs or {})
    Job.objects.filter(state=State.SCHEDULED).update(state=State.QUEUED)
    run_jobs()
    assert SECRET not in kept()
    assert {one.state for one in Job.objects.filter(task=sealed.name)} == {State.SUCCEEDED, State.DEAD}


def test_what_no_key_reads_is_named_and_left_as_it_is(settings: Settings, run: Run) -> None:  # noqa: F811
    lost = sealed.delay("good", SECRET).job
    settings.JOBS_ENCRYPTION_KEYS = [OTHER_KEY]
    done = run("reencrypt")
    assert done.code == 1
    assert f"jobs {lost.pk}" in done.error
    assert Job.objects.get(pk=lost.pk).kwargs == lost.kwargs


def test_what_was_enqueued_before_its_task_encrypted_is_encrypted_then(run: Run) -> None:  # noqa: F811
    one = sealed.delay("good", SECRET).job
    Job.objects.filter(pk=one.pk).update(args=["good", SECRET], kwargs={})
    assert run("reencrypt", "--json").answer["written"] == {"jobs": 1}
    assert SECRET not in kept()
    run_jobs()
    assert Job.objects.get(pk=one.pk).state == State.SUCCEEDED


@given(
    st.lists(st.integers() | st.text(st.characters(codec="utf-8", exclude_characters="\x00")) | st.none(), max_size=3)
)
def test_whatever_is_encrypted_is_read_as_it_was(value: list[Any]) -> None:
    found = sealed.apply_async(("good", "a"), {"more": value}, unique=False).job
    assert arguments_of(found.args, found.kwargs) == (["good", "a"], {"more": value})
