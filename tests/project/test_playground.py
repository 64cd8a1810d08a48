"""The playground of development: fifty jobs, a worker to kill, and nothing of it in production."""

import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from jobs.models import Job, OperatorAction
from tests.jobs.conftest import no_dispatcher_left
from tests.jobs.people import operator, viewer
from tests.jobs.rows import claimed
from tests.jobs.worker_rows import worker
from tests.waiting import wait_for

__all__ = ["no_dispatcher_left"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


@pytest.fixture
def player(db: None) -> Client:
    """Someone who may act on jobs."""
    return operator()


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """A process that the system lists as Celery's worker."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "celery", "worker"])
    yield process
    process.kill()
    process.wait()


def said(answer: Any) -> str:
    return " ".join(str(message) for message in answer.context["messages"])


def test_fifty_jobs_of_every_kind_are_enqueued(player: Client) -> None:
    answer = player.post("/playground/fifty", follow=True)
    # The fiftieth is the chord's body, which its last member enqueues.
    assert Counter(job.task.partition(".")[2] for job in Job.objects.all()) == {
        "succeed": 20,
        "fail": 5,
        "retry": 5,
        "limited": 6,
        "call_service": 6,
        "count": 6,
        "travel": 1,
    }
    assert said(answer).startswith("Enqueued 50 jobs.")
    assert answer.redirect_chain == [("/jobs/list/", 302)]
    assert OperatorAction.objects.get().count == 50


def test_a_worker_of_this_machine_is_killed(player: Client, victim: subprocess.Popen[bytes]) -> None:
    worker(name="a@test", host=socket.gethostname(), pid=victim.pid)
    Job.objects.filter(pk=claimed().pk).update(worker="a@test")
    answer = player.post("/playground/kill", follow=True)
    assert wait_for(lambda: victim.poll() is not None, 10)
    assert said(answer).startswith(f"Killed a@test, process {victim.pid}, with 1 running.")
    assert OperatorAction.objects.get().target == {"worker": "a@test", "pid": victim.pid}


@pytest.mark.parametrize("of", ["elsewhere", "a process that is none", "one that is gone"])
def test_nothing_else_is_killed(player: Client, of: str) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        host = "elsewhere" if of == "elsewhere" else socket.gethostname()
        worker(host=host, pid=2**22 + 1 if of == "one that is gone" else bystander.pid)
        assert "No worker runs on this machine" in said(player.post("/playground/kill", follow=True))
        assert bystander.poll() is None
        assert not OperatorAction.objects.exists()
    finally:
        bystander.kill()
        bystander.wait()


def test_who_may_only_look_can_press_nothing(db: None) -> None:
    browser = viewer()
    assert browser.get("/playground/").status_code == 200
    assert {browser.post(f"/playground/{name}").status_code for name in ("fifty", "kill")} == {403}
    assert not Job.objects.exists()


def test_strangers_are_asked_to_log_in(client: Client) -> None:
    assert client.get("/playground/")["Location"].startswith("/log-in/")


def test_it_is_refused_in_production() -> None:
    code = "from project import settings"
    environment = {
        "PLAYGROUND": "true",
        "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyz" * 2,
        "ALLOWED_HOSTS": "example.com",
    }
    environment |= {"DATABASE_URL": "sqlite://:memory:", "BROKER_URL": "ledger://"}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode
    assert "PLAYGROUND is set although DEBUG is off" in ended.stderr
