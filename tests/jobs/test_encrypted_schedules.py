"""What a schedule keeps of the arguments of a task that encrypts, and how Beat, people and `reencrypt` deal with it."""

import json
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.checks import run_checks
from django.db import connection
from django.test import Client
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from pytest_django import Settings

from jobs.core.states import State
from jobs.errors import EncryptionError
from jobs.models import Job
from jobs.schedules import CannotRun, plan_of, run_now
from jobs.tasks.encryption import MARK, arguments_of, is_current
from jobs.testing import run_jobs
from tests.environment import ENCRYPTION_KEY
from tests.jobs.commands.conftest import Run, run  # noqa: F401 (a fixture)
from tests.jobs.letters import NOTE
from tests.jobs.people import logged_in, person
from tests.tasks_app.effects import VARIABLE
from tests.tasks_app.sealed import sealed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("jobs_in_memory", "only_ours"), pytest.mark.any_database]

SECRET = "xyzzy-plugh-90210"  # noqa: S105 (nobody's)
OTHER_KEY = Fernet.generate_key().decode()
LIST = "/admin/django_celery_beat/periodictask/"
IN_CLEAR = json.dumps({"how": "good", "secret": SECRET})


@pytest.fixture
def only_ours(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away the schedules of the site, and let tasks leave their effects in a file."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "effects"))
    PeriodicTask.objects.all().delete()


@pytest.fixture
def staff() -> Client:
    return logged_in(person("operate_job", *(f"django_celery_beat.{right}_periodictask" for right in RIGHTS)))


RIGHTS = ("view", "add", "change")


def every() -> IntervalSchedule:
    return IntervalSchedule.objects.get_or_create(every=5, period="minutes")[0]


def scheduled(**fields: Any) -> PeriodicTask:
    """Return a schedule of the task that encrypts, as it is kept."""
    given = {"name": "sealed", "task": sealed.name, "interval": every(), "kwargs": IN_CLEAR, **fields}
    row = PeriodicTask.objects.create(**given)
    row.refresh_from_db()
    return row


def in_clear(**fields: Any) -> PeriodicTask:
    """Return a schedule that was written past `save`."""
    row = scheduled(kwargs="{}")
    PeriodicTask.objects.filter(pk=row.pk).update(**{"kwargs": IN_CLEAR, **fields})
    row.refresh_from_db()
    return row


def read(row: PeriodicTask) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments that a schedule stands for."""
    return arguments_of(json.loads(row.args), json.loads(row.kwargs))


def table() -> str:
    """Return all that the table of schedules holds."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM django_celery_beat_periodictask")
        return str(cursor.fetchall())


def warnings() -> list[str]:
    return [found.msg for found in run_checks(databases=["default"]) if found.id == "jobs.W001"]


@pytest.mark.parametrize(
    "args, kwargs",
    [("[]", IN_CLEAR), (json.dumps(["good", SECRET]), "{}"), ('["good"]', json.dumps({"secret": SECRET}))],
)
def test_a_schedule_is_kept_encrypted_and_its_job_runs_with_its_arguments(args: str, kwargs: str) -> None:
    row = scheduled(args=args, kwargs=kwargs)
    assert SECRET not in table()
    assert (row.args, list(json.loads(row.kwargs))) == ("[]", [MARK])
    job_id = run_now(row, actor="tests")
    assert SECRET not in str(Job.objects.values())
    run_jobs()
    assert Job.objects.get(pk=job_id).state == State.SUCCEEDED


def test_saving_it_again_changes_nothing() -> None:
    row = scheduled()
    kept = row.kwargs
    row.save()
    row.save(update_fields=["enabled"])
    row.refresh_from_db()
    assert row.kwargs == kept


def test_what_a_task_without_secrets_takes_and_what_has_no_arguments_stays_in_clear() -> None:
    assert json.loads(scheduled(name="a note", task=NOTE, kwargs='{"effect": "seen"}').kwargs) == {"effect": "seen"}
    assert scheduled(name="nothing given", kwargs="{}").kwargs == "{}"


def test_a_word_written_over_in_the_admin_is_encrypted_and_the_token_may_stay(staff: Client) -> None:
    row = scheduled()
    address = f"{LIST}{row.pk}/change/"
    page = staff.get(address).text
    assert SECRET not in page
    assert "They are encrypted, as their task asks" in page
    form = {"name": row.name, "task": row.task, "interval": every().pk, "args": row.args, "headers": "{}"}
    answer = staff.post(address, {**form, "kwargs": row.kwargs, "enabled": "on"})
    assert answer.status_code == 302, answer.context["errors"]
    row.refresh_from_db()
    assert read(row) == ([], json.loads(IN_CLEAR))
    staff.post(address, {**form, "kwargs": json.dumps({"how": "good", "secret": "another"})})
    row.refresh_from_db()
    assert read(row) == ([], {"how": "good", "secret": "another"})
    assert "another" not in table()


def test_what_is_typed_beside_a_token_joins_it(staff: Client) -> None:
    row = scheduled()
    beside = {**json.loads(row.kwargs), "more": SECRET}
    row.kwargs = json.dumps(beside)
    row.save()
    row.refresh_from_db()
    assert SECRET not in row.kwargs
    assert read(row) == ([], {**json.loads(IN_CLEAR), "more": SECRET})


def test_arguments_that_do_not_fit_are_refused_beside_their_field(staff: Client) -> None:
    form = {"name": "sealed", "task": sealed.name, "interval": every().pk, "args": "[]", "headers": "{}"}
    answer = staff.post(f"{LIST}add/", {**form, "kwargs": json.dumps({"nothing": SECRET})})
    assert list(answer.context["adminform"].form.errors) == ["kwargs"]
    assert not PeriodicTask.objects.exists()


@pytest.mark.parametrize("kwargs", ["{", "[1]", "[" * 900 + "]" * 900, "null", ""])
def test_what_is_no_argument_is_saved_as_it_stands_and_cannot_run(kwargs: str) -> None:
    row = scheduled(kwargs=kwargs)
    assert row.kwargs == kwargs
    with pytest.raises(CannotRun):
        plan_of(row)


def test_what_no_database_holds_is_encrypted_and_cannot_run() -> None:
    row = scheduled(kwargs=json.dumps({"how": "good", "secret": "\ud800"}))
    assert MARK in row.kwargs
    with pytest.raises(CannotRun, match="lone surrogate"):
        plan_of(row)


def test_without_a_key_none_is_saved_and_a_form_says_why(settings: Settings, staff: Client) -> None:
    settings.JOBS_ENCRYPTION_KEYS = []
    with pytest.raises(EncryptionError, match="JOBS_ENCRYPTION_KEYS holds no key"):
        scheduled()
    form = {"name": "sealed", "task": sealed.name, "interval": every().pk, "args": "[]", "headers": "{}"}
    answer = staff.post(f"{LIST}add/", {**form, "kwargs": IN_CLEAR})
    assert "JOBS_ENCRYPTION_KEYS holds no key" in str(answer.context["adminform"].form.errors["kwargs"])
    assert not PeriodicTask.objects.exists()


def test_a_schedule_whose_key_is_gone_says_so_and_is_kept(settings: Settings) -> None:
    row = scheduled()
    settings.JOBS_ENCRYPTION_KEYS = [OTHER_KEY]
    with pytest.raises(CannotRun, match=r"none of the keys in JOBS_ENCRYPTION_KEYS \(1\) reads it"):
        plan_of(row)
    row.save()
    row.refresh_from_db()
    settings.JOBS_ENCRYPTION_KEYS = [ENCRYPTION_KEY]
    assert read(row) == ([], json.loads(IN_CLEAR))


def test_one_half_of_the_arguments_is_not_saved_alone() -> None:
    row = scheduled(kwargs="{}")
    row.kwargs = IN_CLEAR
    with pytest.raises(EncryptionError, match="save args and kwargs together, not kwargs alone"):
        row.save(update_fields=["kwargs"])
    assert SECRET not in table()
    row.save(update_fields=["args", "kwargs"])
    assert SECRET not in table()
    row.refresh_from_db()
    assert read(row) == ([], json.loads(IN_CLEAR))


def test_one_written_past_save_is_named_by_the_check_and_encrypted_by_reencrypt(run: Run) -> None:  # noqa: F811
    in_clear()
    (said,) = warnings()
    assert "'sealed' holds arguments in clear" in said
    assert SECRET not in said
    assert run("reencrypt", "--json").answer["written"] == {"schedules": 1}
    assert SECRET not in table()
    assert warnings() == []
    assert read(PeriodicTask.objects.get()) == ([], json.loads(IN_CLEAR))


def test_one_in_clear_runs_all_the_same() -> None:
    run_now(in_clear(), actor="tests")
    run_jobs()
    assert Job.objects.get().state == State.SUCCEEDED


def test_keys_are_changed_in_schedules_too(settings: Settings, run: Run) -> None:  # noqa: F811
    row = scheduled()
    settings.JOBS_ENCRYPTION_KEYS = [OTHER_KEY, ENCRYPTION_KEY]
    assert run("reencrypt", "--json").answer["written"] == {"schedules": 1}
    assert run("reencrypt", "--json").answer["written"] == {}
    row.refresh_from_db()
    assert is_current(json.loads(row.kwargs)[MARK])
    settings.JOBS_ENCRYPTION_KEYS = [OTHER_KEY]
    assert read(row) == ([], json.loads(IN_CLEAR))


def test_one_that_no_key_reads_is_named_by_reencrypt_and_left(settings: Settings, run: Run) -> None:  # noqa: F811
    row = scheduled()
    settings.JOBS_ENCRYPTION_KEYS = [OTHER_KEY]
    done = run("reencrypt")
    assert (done.code, f"schedules {row.pk}" in done.error) == (1, True)
    row.refresh_from_db()
    settings.JOBS_ENCRYPTION_KEYS = [ENCRYPTION_KEY]
    assert read(row) == ([], json.loads(IN_CLEAR))
