"""The code keeps the house rules, and the rules notice when it does not."""

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs import rooms, rules
from tests.docs.rules import Source

BASE = Path(__file__).resolve().parents[2]

Rule = Callable[[Source], list[str]]

OF_APPS = (
    rules.imports_run_one_way,
    rules.jobs_is_used_by_its_public_names,
    rules.state_is_written_in_the_ledger,
    rooms.rooms_stand_in_their_order,
)


def sources(*folders: str) -> list[Source]:
    files = (file for folder in folders for file in sorted((BASE / folder).rglob("*.py")))
    return [Source.read(BASE, file) for file in files if "migrations" not in file.parts]


@pytest.fixture(scope="module")
def apps() -> list[Source]:
    """What the apps consist of, read once: it takes seconds."""
    return sources(*rules.APPS)


@pytest.mark.parametrize("rule", OF_APPS, ids=lambda rule: rule.__name__)
def test_the_apps_keep(rule: Rule, apps: list[Source]) -> None:
    assert len(apps) > 50
    assert [problem for source in apps for problem in rule(source)] == []


def test_tests_wait_in_one_place() -> None:
    allowed = ("tests/waiting.py", "tests/tasks_app/", "tests/chaos/")
    ours = [source for source in sources("tests") if not source.path.startswith(allowed)]
    assert [problem for source in ours for problem in rules.tests_wait_in_one_place(source)] == []


@pytest.mark.parametrize(
    "rule,path,code",
    [
        (rules.imports_run_one_way, "jobs/tasks/task.py", "from mail.tasks import send"),
        (rules.imports_run_one_way, "jobs/tasks/task.py", "def f():\n    import accounts.models"),
        (rules.imports_run_one_way, "mail/client.py", "from accounts.models import User"),
        (rules.imports_run_one_way, "mail/client.py", "from project import settings"),
        (rules.imports_run_one_way, "accounts/forms.py", "from posts.models import Post"),
        (rules.jobs_is_used_by_its_public_names, "mail/tasks.py", "from jobs.ledger import claim"),
        (rules.jobs_is_used_by_its_public_names, "mail/tasks.py", "import jobs.enqueue.dispatcher"),
        (rules.jobs_is_used_by_its_public_names, "mail/tasks.py", "from jobs import ledger"),
        (rules.state_is_written_in_the_ledger, "jobs/admin.py", "job.state = 'queued'"),
        (rules.state_is_written_in_the_ledger, "jobs/admin.py", "jobs.update(state='queued')"),
        (rules.state_is_written_in_the_ledger, "mail/tasks.py", "Job.objects.create(state='queued')"),
        (rules.state_is_written_in_the_ledger, "jobs/api.py", "sql = 'UPDATE jobs_job SET state = %s'"),
        (rooms.rooms_stand_in_their_order, "jobs/ledger/claims.py", "from jobs.worker.request import JobRequest"),
        (rooms.rooms_stand_in_their_order, "jobs/core/states.py", "if TYPE_CHECKING:\n    from jobs.models import Job"),
        (rooms.rooms_stand_in_their_order, "jobs/enqueue/message.py", "def f():\n    import jobs.brokers.redis"),
        (rooms.rooms_stand_in_their_order, "jobs/api/jobs.py", "from jobs.dashboard.pages import show"),
        (rooms.rooms_stand_in_their_order, "jobs/operations/actions.py", "from jobs import reports"),
        (rooms.rooms_stand_in_their_order, "jobs/worker/request.py", "from jobs import job"),
        (rooms.rooms_stand_in_their_order, "jobs/worker/request.py", "from jobs.celery import install"),
        (rooms.rooms_stand_in_their_order, "jobs/conf.py", "from jobs.models import Job"),
        (rooms.rooms_stand_in_their_order, "jobs/utils/text.py", "from jobs.core import states"),
        (rules.tests_wait_in_one_place, "tests/test_a.py", "import time\ntime.sleep(1)"),
    ],
    ids=lambda value: value.__name__ if callable(value) else value.replace("\n", ";"),
)
def test_a_rule_notices(rule: Rule, path: str, code: str) -> None:
    assert len(rule(Source(path, ast.parse(code)))) == 1


@pytest.mark.parametrize(
    "rule,path,code",
    [
        (rules.imports_run_one_way, "accounts/services.py", "from mail.tasks import send"),
        (rules.imports_run_one_way, "project/urls.py", "from jobs.observability.health import livez"),
        (rules.imports_run_one_way, "mail/client.py", "import smtplib"),
        (rules.jobs_is_used_by_its_public_names, "mail/tasks.py", "from jobs import Permanent, job"),
        (rules.jobs_is_used_by_its_public_names, "posts/services.py", "from jobs.models import Job"),
        (rules.jobs_is_used_by_its_public_names, "posts/services.py", "from jobs import models"),
        (rules.state_is_written_in_the_ledger, "jobs/ledger/attempts.py", "job.state = 'queued'"),
        (rules.state_is_written_in_the_ledger, "jobs/operations/filters.py", "Job.objects.filter(state='queued')"),
        (rules.state_is_written_in_the_ledger, "jobs/operations/filters.py", "x = job.state == 'queued'"),
        (rooms.rooms_stand_in_their_order, "jobs/worker/request.py", "from jobs.ledger import claims"),
        (rooms.rooms_stand_in_their_order, "jobs/core/outcome.py", "from jobs.errors import Permanent"),
        (rooms.rooms_stand_in_their_order, "jobs/management/commands/jobs.py", "from jobs.cli.verb import Verb"),
        (rooms.rooms_stand_in_their_order, "jobs/celery.py", "from jobs.maintenance.runner import Maintenance"),
        (rooms.rooms_stand_in_their_order, "mail/tasks.py", "from jobs import job"),
    ],
    ids=lambda value: value.__name__ if callable(value) else value,
)
def test_a_rule_lets_pass(rule: Rule, path: str, code: str) -> None:
    assert rule(Source(path, ast.parse(code))) == []


def test_every_exception_to_the_order_of_rooms_is_needed(apps: list[Source]) -> None:
    engine = [source for source in apps if source.app == "jobs"]
    needed = {(importer, module) for source in engine for _, importer, module in rooms.against_the_order(source)}
    assert set(rooms.EXCEPTIONS) <= needed
