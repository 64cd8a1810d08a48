"""The front page, the error pages, and what every page promises to browsers."""

import re
from typing import NoReturn

import pytest
from django.contrib.auth.models import Permission
from django.http import HttpRequest
from django.test import Client
from django.urls import path
from pytest_django import Settings

from accounts.models import User
from jobs.models import Job
from mail.tasks import send
from project import urls as project_urls

NEWS = {"kind": "custom", "to": "jane@example.com", "subject": "News", "body": "Hi"}


def broken(request: HttpRequest) -> NoReturn:
    """Fail, as a view with a bug does."""
    raise RuntimeError(request.path)


class Broken:
    """The project's addresses and one that fails."""

    urlpatterns = (*project_urls.urlpatterns, path("broken/", broken))


@pytest.fixture
def staff(db: None) -> User:
    return User.objects.create_superuser("root@example.com")


def test_the_front_page_shows_staff_where_to_go_and_what_goes_on(client: Client, staff: User) -> None:
    client.force_login(staff)
    send.delay(**NEWS)
    page = client.get("/").content.decode()
    for place in ("/admin/", "/readyz", "/inbox/"):
        assert f'href="{place}"' in page
    assert "mail.send" in page.replace("<wbr>", "")
    assert re.search(r'class="state queued">.*?</svg>queued</span> 1', page)


@pytest.mark.django_db
def test_strangers_see_nothing_of_what_goes_on(client: Client) -> None:
    send.delay(**NEWS)
    page = client.get("/").content.decode()
    assert "mail.send" not in page
    assert "/readyz" not in page
    assert "Sign up and see one run" in page


def test_staff_without_permission_see_nothing_of_what_goes_on(client: Client, db: None) -> None:
    client.force_login(User.objects.create_user("sam@example.com", is_staff=True))
    send.delay(**NEWS)
    page = client.get("/").content.decode()
    assert 'href="/admin/"' in page
    for hidden in ("mail.send", "What is going on", 'href="/jobs/"'):
        assert hidden not in page


def test_whoever_may_see_jobs_sees_them_on_the_front_page(client: Client, db: None) -> None:
    sam = User.objects.create_user("sam@example.com", is_staff=True)
    sam.user_permissions.add(Permission.objects.get(codename="view_job"))
    client.force_login(sam)
    page = client.get("/").content.decode()
    assert "What is going on" in page
    assert 'href="/jobs/"' in page


def test_an_empty_ledger_says_how_to_fill_it(client: Client, staff: User) -> None:
    client.force_login(staff)
    Job.objects.all().delete()
    assert "The ledger is empty." in client.get("/").content.decode()


@pytest.mark.django_db
def test_every_page_is_strict_about_what_it_loads(client: Client) -> None:
    answer = client.get("/")
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", answer.content.decode())


@pytest.mark.django_db
def test_a_page_that_is_not_there_says_so(client: Client) -> None:
    answer = client.get("/no-such-page/")
    assert answer.status_code == 404
    assert "There is nothing here" in answer.content.decode()


@pytest.mark.django_db
def test_our_own_mistakes_are_owned_up_to(client: Client, settings: Settings) -> None:
    settings.ROOT_URLCONF = Broken
    client.raise_request_exception = False
    answer = client.get("/broken/")
    assert answer.status_code == 500
    page = answer.content.decode()
    assert "Something broke on our side" in page
    assert "RuntimeError" not in page


@pytest.mark.django_db
def test_a_form_from_elsewhere_is_refused_with_a_way_out() -> None:
    answer = Client(enforce_csrf_checks=True).post("/sign-up/", {"email": "dora@example.com"})
    assert answer.status_code == 403
    assert "This form is out of date" in answer.content.decode()
    assert not Job.objects.exists()


@pytest.mark.django_db
def test_a_request_for_another_host_is_refused_plainly(client: Client) -> None:
    answer = client.get("/", headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert "This request makes no sense to us" in answer.content.decode()
