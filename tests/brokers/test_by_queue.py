"""Two brokers: JOBS_BROKERS gives the queue `tests.other` to a RabbitMQ, and Valkey carries the rest."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import current_app
from django.core.exceptions import ImproperlyConfigured
from django.test import Client, override_settings

from accounts.models import User
from jobs import conf
from jobs.enqueue import dispatcher
from jobs.models import DeadLetter, Job
from jobs.reports.queues import queues
from tests.acceptance.worker import Worker
from tests.brokers.application import application_at
from tests.brokers.conftest import IMPATIENT, OpenHouse
from tests.brokers.rabbitmq import RabbitMQ
from tests.brokers.system import System
from tests.conftest import REPORTS
from tests.environment import environment
from tests.jobs.wire import queue_length
from tests.tasks_app import tasks
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(180)

OTHER = "tests.other"


@pytest.fixture
def node(rabbitmq_node: RabbitMQ) -> RabbitMQ:
    """The broker of `tests.other`, with none of its queues."""
    node = rabbitmq_node.start()
    with node.connect() as amqp:
        for suffix in ("", ".urgent", ".dead"):
            amqp.channel().queue_delete(OTHER + suffix)
    return node


@pytest.fixture
def system(request: pytest.FixtureRequest, open_house: OpenHouse, node: RabbitMQ, tmp_path: Path) -> Iterator[System]:
    """A system on Valkey, whose process knows of the RabbitMQ."""
    reports = request.node.stash.setdefault(REPORTS, [])
    with open_house("valkey", tmp_path, reports) as system, application_at(system.broker.url, {OTHER: node.url}):
        yield system


def start(system: System, node: RabbitMQ, *names: str, ready: bool = True) -> Worker:
    variables = {**IMPATIENT, "JOBS_BROKERS": f"{OTHER}={node.url}"}
    return system.start_worker(environment=variables, queues=names, ready=ready)


def in_rabbitmq(node: RabbitMQ, queue: str) -> int:
    with node.connect() as amqp:
        return int(amqp.channel().queue_declare(queue, passive=True).message_count)


def in_valkey(queue: str) -> int:
    return queue_length(environment.valkey, queue)


def ended(state: str, number: int) -> bool:
    return Job.objects.filter(state=state).count() == number


def test_jobs_go_to_the_broker_of_their_queue(system: System, node: RabbitMQ) -> None:
    tasks.note.delay("a")
    tasks.elsewhere.delay_many([{"effect": "b"}, {"effect": "c"}])
    dispatcher.flush()
    assert (in_valkey("default"), in_valkey(OTHER)) == (1, 0)
    assert in_rabbitmq(node, OTHER) == 1
    assert not Job.objects.filter(dispatched_at=None).exists()


def test_workers_of_each_broker_run_its_jobs_those_due_later_too(system: System, node: RabbitMQ) -> None:
    start(system, node, OTHER)
    start(system, node, "default")
    tasks.note.delay("a")
    tasks.elsewhere.delay("b")
    tasks.note.apply_async(["c"], countdown=1)
    tasks.elsewhere.apply_async(["d"], countdown=1)
    wait_for(lambda: ended("succeeded", 4), 30)
    assert sorted(system.effects.lines()) == ["a", "b", "c", "d"]


def test_dead_letters_lie_with_the_broker_of_their_queue_until_they_are_archived(
    system: System, node: RabbitMQ
) -> None:
    start(system, node, OTHER)
    tasks.broken.apply_async(["a"], queue=OTHER)
    wait_for(lambda: DeadLetter.objects.filter(queue=OTHER).count() == 1, 30)
    assert in_rabbitmq(node, f"{OTHER}.dead") == 0
    assert in_valkey(f"{OTHER}.dead") == 0


def test_one_broker_that_is_down_holds_up_no_queue_of_the_other(system: System, node: RabbitMQ) -> None:
    worker = start(system, node, OTHER)
    environment.valkey.kill()
    try:
        tasks.note.delay("lost to nobody")
        tasks.elsewhere.delay("a")
        tasks.elsewhere.apply_async(["b"], countdown=1)
        wait_for(lambda: ended("succeeded", 2), 40)
        # It needs nothing of the other broker to begin, either.
        worker.stop()
        start(system, node, OTHER)
        tasks.elsewhere.delay("c")
        wait_for(lambda: ended("succeeded", 3), 30)
    finally:
        environment.valkey.start()
    start(system, node, "default")
    wait_for(lambda: ended("succeeded", 4), 60)


def test_a_queue_moves_by_a_change_of_its_line(system: System, node: RabbitMQ) -> None:
    with application_at(system.broker.url):
        tasks.elsewhere.delay("a")
        tasks.elsewhere.apply_async(["b"], countdown=1)
    assert in_valkey(OTHER) == 1
    start(system, node, OTHER)
    wait_for(lambda: ended("succeeded", 2), 60)
    assert sorted(system.effects.lines()) == ["a", "b"]


def test_plain_tasks_go_where_jobs_of_their_queue_go(system: System, node: RabbitMQ) -> None:
    start(system, node, OTHER)
    tasks.plain.apply_async(["a"], queue=OTHER)
    tasks.plain.delay("b")
    current_app.send_task("tests.tasks_app.tasks.plain", ["c"], queue=OTHER)
    wait_for(lambda: sorted(system.effects.lines()) == ["a", "c"], 20)
    assert in_valkey("default") == 1


@pytest.mark.parametrize("names", [(), (OTHER, "default")], ids=["all", "named"])
def test_a_worker_of_two_brokers_ends_at_its_start_and_says_why(
    system: System, node: RabbitMQ, names: tuple[str, ...]
) -> None:
    worker = start(system, node, *names, ready=False)
    assert worker.wait() == 1
    said = worker.log_text()
    assert "A worker consumes queues of one broker" in said
    assert f"carries {OTHER}" in said
    assert "guest:guest" not in said


def test_a_worker_is_not_talked_into_a_queue_of_another_broker(system: System, node: RabbitMQ) -> None:
    worker = start(system, node, "default")
    current_app.control.add_consumer(OTHER, reply=True, timeout=3)
    wait_for(lambda: "JOBS_BROKERS gives it to another broker" in worker.log_text())


def test_pages_api_and_commands_say_which_broker_carries_which_queue(system: System, node: RabbitMQ) -> None:
    carriers = {queue.name: queue.broker for queue in queues()}
    assert carriers["default"] == system.broker.url
    assert carriers[OTHER].startswith("amqp://guest:**@127.0.0.1:")
    client = Client()
    client.force_login(User.objects.create_superuser("boss@example.com", "a-password-for-tests"))
    page = client.get("/jobs/queues/?fresh=1").content.decode()
    assert f"on {carriers[OTHER]}" in page
    assert "guest:guest" not in page


@pytest.mark.parametrize(
    "brokers,default",
    [({"email": "ledger://"}, "redis://a"), ({"email": "redis://a"}, "ledger://"), ({"email.dead": "redis://a"}, "")],
)
def test_what_cannot_be_carried_so_is_refused(brokers: dict[str, str], default: str) -> None:
    with (
        override_settings(JOBS_BROKERS=brokers, CELERY_BROKER_URL=default),
        pytest.raises(ImproperlyConfigured, match=r"^JOBS_BROKERS "),
    ):
        conf.brokers()
