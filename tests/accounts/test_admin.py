"""Users in the admin."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts.models import EmailChange, User
from jobs.models import Job
from tests.accounts.mailbox import Mailbox


@pytest.fixture
def admin(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("root@example.com"))
    return client


def test_an_invited_person_chooses_the_password(admin: Client, mailbox: Mailbox) -> None:
    answer = admin.post(reverse("admin:accounts_user_add"), {"email": "Dora@example.com", "language": "de"})
    assert answer.status_code == 302
    dora = User.objects.get(email="dora@example.com")
    assert not dora.has_usable_password()
    mail = mailbox.receive_one()
    assert mail.recipients == ["dora@example.com"]
    assert mail.message["Subject"] == "Bestätigen Sie Ihre E-Mail-Adresse"


def test_an_invitation_takes_over_a_sign_up_that_nobody_completed(admin: Client, bob: User, mailbox: Mailbox) -> None:
    answer = admin.post(reverse("admin:accounts_user_add"), {"email": "Bob@example.com", "language": "de"})
    assert answer.status_code == 302
    bob.refresh_from_db()
    assert bob.language == "de"
    assert mailbox.receive_one().recipients == ["bob@example.com"]


def test_an_address_with_an_account_is_not_invited(admin: Client, alice: User) -> None:
    answer = admin.post(reverse("admin:accounts_user_add"), {"email": "alice@example.com", "language": ""})
    assert "Another account has this address." in answer.content.decode()


def test_users_can_be_found_and_shut_out(admin: Client, alice: User) -> None:
    page = admin.get(reverse("admin:accounts_user_changelist"), {"q": "Alice", "email_verified_at__isempty": "0"})
    assert "alice@example.com" in page.content.decode()
    path = reverse("admin:accounts_user_change", args=[alice.pk])
    form = {"email": alice.email, "name": alice.name, "language": "", "is_active": ""}
    assert admin.post(path, form).status_code == 302
    alice.refresh_from_db()
    assert not alice.is_active


@pytest.fixture
def helper(client: Client, db: None) -> Client:
    """Somebody who may look after users, and no more."""
    sam = User.objects.create_user("sam@example.com", is_staff=True)
    may = Permission.objects.filter(content_type__app_label="accounts", content_type__model="user")
    sam.user_permissions.set(may)
    client.force_login(sam)
    return client


def test_who_looks_after_users_gives_nobody_rights(helper: Client, alice: User) -> None:
    path = reverse("admin:accounts_user_change", args=[alice.pk])
    rights = {"is_staff": "on", "is_superuser": "on", "user_permissions": [Permission.objects.first().pk]}  # type: ignore[union-attr]
    form = {"email": alice.email, "name": "Alicia", "language": "", "is_active": "on"}
    assert helper.post(path, form | rights).status_code == 302
    alice.refresh_from_db()
    assert alice.name == "Alicia"
    assert (alice.is_staff, alice.is_superuser, alice.user_permissions.count()) == (False, False, 0)


def test_who_looks_after_users_takes_no_administrators_place(helper: Client) -> None:
    root = User.objects.create_superuser("root@example.com")
    path = reverse("admin:accounts_user_change", args=[root.pk])
    assert helper.post(path, {"email": "sam@example.net", "is_active": ""}).status_code == 403
    new = {"password1": "even more harmless 43", "password2": "even more harmless 43", "usable_password": "true"}
    assert helper.post(reverse("admin:auth_user_password_change", args=[root.pk]), new).status_code == 403
    assert helper.post(reverse("admin:accounts_user_delete", args=[root.pk]), {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": str(root.pk), "post": "yes"}
    assert helper.post(reverse("admin:accounts_user_changelist"), chosen).status_code == 403
    root.refresh_from_db()
    assert (root.email, root.has_usable_password(), root.is_active) == ("root@example.com", False, True)


def test_changes_of_address_are_a_record_to_be_read(admin: Client, alice: User) -> None:
    change = EmailChange.objects.create(user=alice, old_email=alice.email, new_email="a@new.example")
    assert "a@new.example" in admin.get(reverse("admin:accounts_emailchange_changelist")).content.decode()
    path = reverse("admin:accounts_emailchange_change", args=[change.pk])
    assert admin.post(path, {"new_email": "mine@evil.example"}).status_code == 403


def looked_at() -> set[str]:
    """Return whose entry in the search index is looked at again."""
    found = Job.objects.filter(task="search.index").values_list("args", flat=True)
    return {pk for kind, pk in found if kind == "user"}


def test_the_search_index_looks_at_users_who_are_changed(admin: Client, alice: User) -> None:
    form = {"email": alice.email, "name": "Alicia", "language": "", "is_active": "on"}
    admin.post(reverse("admin:accounts_user_change", args=[alice.pk]), form)
    assert looked_at() == {str(alice.pk)}


def test_the_search_index_looks_at_users_who_are_deleted(admin: Client, alice: User, bob: User) -> None:
    admin.post(reverse("admin:accounts_user_delete", args=[alice.pk]), {"post": "yes"})
    chosen = {"action": "delete_selected", "_selected_action": str(bob.pk), "post": "yes"}
    admin.post(reverse("admin:accounts_user_changelist"), chosen)
    assert not User.objects.filter(pk__in=[alice.pk, bob.pk]).exists()
    assert looked_at() == {str(alice.pk), str(bob.pk)}
