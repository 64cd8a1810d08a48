"""The engine's settings for Celery, under those of the project."""

import pytest
from celery import Celery
from pytest_django.fixtures import Settings

from jobs.celery import install


@pytest.fixture
def app() -> Celery:
    """Return an application as `project.celery` makes it."""
    made = Celery("another", set_as_current=False)
    made.config_from_object("django.conf:settings", namespace="CELERY")
    install(made)
    return made


def test_what_the_project_does_not_say_the_engine_does(app: Celery) -> None:
    assert app.conf.worker_prefetch_multiplier == 4
    assert app.conf.worker_consumer == "jobs.worker.consumer:JobsConsumer"
    assert app.conf.broker_transport_options["ack_emulation"] is False


def test_what_the_project_says_holds(app: Celery, settings: Settings) -> None:
    settings.CELERY_WORKER_PREFETCH_MULTIPLIER = 9
    settings.CELERY_DB_REUSE_MAX = 7
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": 3}
    assert app.conf.worker_prefetch_multiplier == 9
    assert app.conf.get("CELERY_DB_REUSE_MAX") == 7
    options = app.conf.broker_transport_options
    assert (options["socket_timeout"], options["ack_emulation"]) == (3, False)
