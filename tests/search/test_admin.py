"""Reindexes in the admin."""

import uuid

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from jobs.models import Job
from search.models import Reindex

pytestmark = pytest.mark.django_db

LIST, ADD = reverse("admin:search_reindex_changelist"), reverse("admin:search_reindex_add")


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root@example.com"))
    return client


def test_a_reindex_shows_how_far_it_is(admin: Client) -> None:
    job_id = uuid.uuid4()
    Reindex.objects.create(index="posts", job_id=job_id, done=500, total=2000)
    page = admin.get(LIST).text
    assert "500 of 2,000 (25 %)" in page
    assert reverse("jobs:job", args=[job_id]) in page


def test_adding_one_enqueues_it_also_beside_one_under_way(admin: Client) -> None:
    Reindex.objects.create(index="posts", job_id=uuid.uuid4())
    answer = admin.post(ADD, {"index": "posts"}, follow=True)
    job = Job.objects.get(task="search.reindex")
    assert job.args == ["posts"]
    assert str(job.pk) in answer.text
    assert Reindex.objects.count() == 1


def test_an_index_that_nobody_declared_is_refused(admin: Client) -> None:
    assert "Select a valid choice" in admin.post(ADD, {"index": "cars"}).text
    assert not Job.objects.exists()


def test_a_reindex_is_a_record(admin: Client) -> None:
    run = Reindex.objects.create(index="posts", job_id=uuid.uuid4(), done=5)
    change = reverse("admin:search_reindex_change", args=[run.pk])
    assert admin.get(change).status_code == 200
    assert admin.post(change, {"index": "users"}).status_code == 403
    assert admin.post(reverse("admin:search_reindex_delete", args=[run.pk]), {"post": "yes"}).status_code == 403
