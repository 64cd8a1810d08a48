"""`manage.py demo`: what a new site begins with, and that it could have come about so."""

import io
import itertools
from collections.abc import Iterator
from datetime import timedelta

import pytest
from celery import current_app
from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import override_settings
from django.utils import timezone
from PIL import Image
from pytest_django import DjangoDbBlocker
from pytest_django.fixtures import Settings

from accounts.models import User
from jobs.core.states import State
from jobs.models import Job
from posts.models import Post
from project.demo import history, pictures

pytestmark = pytest.mark.django_db


def demo() -> str:
    said = io.StringIO()
    call_command("demo", stdout=said)
    return said.getvalue()


@pytest.fixture(scope="class")
def filled(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """A new site, filled once for the tests of a class, and what the command said; nothing of it is left behind."""
    with (
        django_db_blocker.unblock(),
        override_settings(DEBUG=True, STORAGE_ENDPOINT=""),
        transaction.atomic(),
    ):
        yield demo()
        transaction.set_rollback(True)


def past() -> list[Job]:
    return list(Job.objects.filter(correlation_id=history.CORRELATION))


def test_it_is_for_development_alone(settings: Settings) -> None:
    settings.DEBUG = False
    with pytest.raises(CommandError, match="for development"):
        demo()
    assert not User.objects.exists()


class TestFilledSite:
    def test_it_is_there_once(self, filled: str) -> None:
        before = (User.objects.count(), Post.objects.count(), Job.objects.count())
        assert demo() == "The demo content is there.\n"
        assert (User.objects.count(), Post.objects.count(), Job.objects.count()) == before

    def test_posts_are_a_day_apart_and_without_pictures_where_the_store_takes_none(self, filled: str) -> None:
        assert "The posts have no pictures" in filled
        days = [post.published_at for post in Post.objects.order_by("-published_at") if post.published_at]
        assert len(days) == 12
        assert all(
            timedelta(days=1) <= later - earlier < timedelta(days=2) for later, earlier in itertools.pairwise(days)
        )
        assert all(post.html and post.excerpt and post.title not in post.text for post in Post.objects.all())

    def test_the_history_is_an_hour_of_jobs_that_have_ended(self, filled: str) -> None:
        now, jobs = timezone.now(), past()
        assert len(jobs) == history.JOBS
        assert {job.state for job in jobs} == {State.SUCCEEDED, State.DEAD}
        for job in jobs:
            assert now - timedelta(minutes=61) < job.created_at <= job.run_at
            assert job.started_at is not None
            assert job.finished_at is not None
            assert job.run_at < job.started_at < job.finished_at < now

    def test_each_failure_is_explained_and_each_dead_job_can_be_replayed(self, filled: str) -> None:
        failed = [job for job in past() if job.last_error]
        assert {job.state for job in failed} == {State.SUCCEEDED, State.DEAD}
        for job in failed:
            attempt = job.attempts.get()
            assert f"{attempt.error_type}: {attempt.error}" == job.last_error
            assert attempt.started_at is not None
            assert attempt.finished_at is not None
            assert attempt.started_at < attempt.finished_at
            assert attempt.outcome == ("dead" if job.state == State.DEAD else "retrying")
            assert job.dead_letters.count() == (job.state == State.DEAD)

    def test_its_jobs_could_be_enqueued_as_they_are(self, filled: str) -> None:
        kinds = {job.task: job for job in past()}
        assert set(kinds) == {"mail.send", "search.index", "storage.delete"}
        for name, job in kinds.items():
            task = current_app.tasks[name]
            assert task.queue == job.queue
            task.apply_async(kwargs=job.kwargs)


@pytest.mark.parametrize("number", range(4))
def test_a_picture_is_the_same_for_the_same_number(number: int) -> None:
    drawn = pictures.night(number)
    assert drawn == pictures.night(number)
    assert drawn != pictures.night(number + 4)
    with Image.open(io.BytesIO(drawn)) as image:
        assert image.size == pictures.SIZE
