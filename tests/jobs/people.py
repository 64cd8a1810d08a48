"""Who uses the ledger's pages in tests."""

from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import User


def person(*permissions: str, email: str = "alice@example.com", staff: bool = True) -> User:
    """Make a member of staff with some permissions of the app `jobs`, or `app.name` of another."""
    user = User.objects.create_user(email, is_staff=staff)
    for permission in permissions:
        app, _, name = permission.rpartition(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app or "jobs", codename=name))
    return user


def logged_in(user: User, *, csrf: bool = False) -> Client:
    """Return a browser in which a person is logged in."""
    client = Client(enforce_csrf_checks=csrf)
    client.force_login(user)
    return client


VIEW = (
    *("view_job", "view_attempt", "view_deadletter", "view_queue", "view_operatoraction", "view_worker"),
    *("view_circuitbreaker", "view_breakerchange", "view_flowrule"),
)


def viewer() -> Client:
    """Return the browser of someone who may look and not touch."""
    return logged_in(person(*VIEW))


def operator() -> Client:
    """Return the browser of someone who may look and operate."""
    return logged_in(person(*VIEW, "operate_job", email="bob@example.com"))
