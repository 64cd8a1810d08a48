"""`audit`: what `@job` would change for plain Celery tasks; those of `tests.celery_app`."""

import json
import os
import re
from typing import Any

import pytest
from celery import Task

from jobs import job
from jobs.reports.audit import KNOWN, NEEDLESS
from tests import forks

HERE = "tests.celery_app.tasks"

#: What every plain task that says nothing meets.
ALWAYS = {"autoretry_for", "time_limit", "acks_late"}


def audit(*arguments: str, **variables: str) -> str:
    environment = {**os.environ, "EXTRA_APPS": "tests.celery_app", **variables}
    ran = forks.run("manage.py", "jobs", "audit", *arguments, environment=environment)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def audited() -> dict[str, dict[str, Any]]:
    """The answer, by task."""
    return {one["task"]: one for one in json.loads(audit("--json"))["tasks"]}


def changed(one: dict[str, Any]) -> dict[str, str]:
    return {change["about"]: change["then"] for change in one["changes"]}


def test_the_projects_plain_tasks_are_named_and_no_others(audited: dict[str, dict[str, Any]]) -> None:
    names = ("bare", "steady", "backing_off", "by_hand", "late", "oddly_sent", "misplaced", "generator")
    assert set(audited) == {f"{HERE}.{name}" for name in names} | {"billing.charge", "celery_app.classy"}
    assert audited[f"{HERE}.bare"]["where"].startswith(f"{HERE}:")


@pytest.mark.parametrize(
    "name,expected",
    [
        (f"{HERE}.bare", ALWAYS),
        (f"{HERE}.steady", {"max_retries", "retry_backoff", "acks_late"}),
        (f"{HERE}.backing_off", {"retry_backoff_max", "retry_jitter", "acks_late"}),
        (f"{HERE}.by_hand", {*ALWAYS, "update_state()"}),
        ("billing.charge", {"autoretry_for", "time_limit", "acks_late", "base", "throws", "ignore_result"}),
        (
            f"{HERE}.late",
            {"autoretry_for", "time_limit", "acks_late", "reject_on_worker_lost", "acks_on_timeout", "track_started"}
            | {"rate_limit"},
        ),
        (
            f"{HERE}.oddly_sent",
            {*ALWAYS, "serializer", "compression", "priority", "routing_key", "price_list", "argument user"}
            | {"argument at"},
        ),
        (f"{HERE}.misplaced", {*ALWAYS, "queue", "argument names", "argument raw"}),
        (f"{HERE}.generator", {*ALWAYS, "function"}),
        ("celery_app.classy", {*ALWAYS, "class"}),
    ],
)
def test_what_means_something_else_is_said(name: str, expected: set[str], audited: dict[str, dict[str, Any]]) -> None:
    assert set(changed(audited[name])) == expected


@pytest.mark.parametrize(
    "name,declaration",
    [
        (f"{HERE}.bare", "@job(autoretry_for=(), time_limit=None)"),
        (
            f"{HERE}.steady",
            (
                "@job(autoretry_for=(ConnectionError, TimeoutError), time_limit=60, max_retries=7, retry_backoff=False,"
                " default_retry_delay=5)"
            ),
        ),
        (
            f"{HERE}.backing_off",
            (
                "@job(autoretry_for=(OSError,), retry_backoff=True, max_retries=None, soft_time_limit=20,"
                " time_limit=25, retry_backoff_max=600, retry_jitter=True)"
            ),
        ),
        (
            f"{HERE}.by_hand",
            (
                "@job(bind=True, max_retries=9, default_retry_delay=30, autoretry_for=(), retry_backoff=False,"
                " time_limit=None)"
            ),
        ),
        (
            "billing.charge",
            "@job(name='billing.charge', queue='billing', ignore_result=False, autoretry_for=(), time_limit=None)",
        ),
        (f"{HERE}.late", "@job(rate_limit='10/m', autoretry_for=(), time_limit=None)"),
        (f"{HERE}.oddly_sent", "@job(priority=9, autoretry_for=(), time_limit=None)"),
    ],
)
def test_a_declaration_that_changes_least_is_proposed_and_job_takes_it(
    name: str, declaration: str, audited: dict[str, dict[str, Any]]
) -> None:
    assert audited[name]["as_today"] == declaration
    eval(declaration.removeprefix("@"), {"job": job})  # noqa: S307 (written out above)


def test_the_rule_of_a_queues_name_is_named_where_it_is_broken(audited: dict[str, dict[str, Any]]) -> None:
    assert changed(audited[f"{HERE}.misplaced"])["queue"].startswith("refused: a queue's name must be ")


def test_hooks_of_a_base_are_named(audited: dict[str, dict[str, Any]]) -> None:
    assert "(on_failure)" in changed(audited["billing.charge"])["base"]


def test_every_option_that_celery_takes_from_its_settings_has_a_rule() -> None:
    assert {name for name, _ in Task.from_config} - KNOWN - set(NEEDLESS) == {"serializer"}


def test_no_option_that_job_takes_is_called_needless() -> None:
    assert KNOWN & set(NEEDLESS) == set()


def test_for_people_each_task_has_its_table_and_its_declaration() -> None:
    printed = audit()
    bare = printed[printed.index(f"{HERE}.bare  ({HERE}:") :].split("\n\n")[0].splitlines()[1:]
    # Each in its column, and indented below the task's name.
    assert re.fullmatch(r"  what +today +with @job", bare[0])
    assert [line[2:].partition(" ")[0] for line in bare[1:-1]] == ["autoretry_for", "time_limit", "acks_late"]
    assert {line.index("any exception") for line in bare if "any exc" in line} == {bare[0].index("with @job")}
    assert bare[-1] == "  As today, as far as it goes: @job(autoretry_for=(), time_limit=None)"


def test_a_project_without_plain_tasks_is_told_so() -> None:
    assert audit(EXTRA_APPS="").strip() == "Every task of the project is a job."
