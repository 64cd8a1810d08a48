"""Importing the tasks: once, and without setting up anew what is up."""

import logging
from collections.abc import Iterator

import pytest
from celery import current_app
from django.test import Client
from django.urls import get_script_prefix, set_script_prefix

from jobs.reports.queues import known
from tests.jobs.people import logged_in, person


@pytest.fixture
def handler() -> Iterator[logging.Handler]:
    """A handler of the root logger that was added at run time."""
    added = logging.NullHandler()
    logging.getLogger().addHandler(added)
    yield added
    logging.getLogger().removeHandler(added)


@pytest.fixture
def prefix() -> Iterator[str]:
    """The script prefix of a request to a site below a path."""
    before = get_script_prefix()
    set_script_prefix("/below/")
    yield "/below/"
    set_script_prefix(before)


def test_a_look_at_the_queues_keeps_handlers_and_the_prefix_of_the_request(
    handler: logging.Handler, prefix: str
) -> None:
    assert "default" in known()
    assert handler in logging.getLogger().handlers
    assert get_script_prefix() == prefix


def test_an_import_of_the_tasks_leaves_django_alone(handler: logging.Handler, prefix: str) -> None:
    current_app.loader.import_default_modules()
    assert handler in logging.getLogger().handlers
    assert get_script_prefix() == prefix


@pytest.mark.django_db
def test_the_form_of_a_schedule_keeps_what_was_added_to_the_logs(handler: logging.Handler) -> None:
    rights = [f"django_celery_beat.{right}_periodictask" for right in ("view", "add")]
    admin: Client = logged_in(person(*rights))
    assert admin.get("/admin/django_celery_beat/periodictask/add/").status_code == 200
    assert handler in logging.getLogger().handlers
