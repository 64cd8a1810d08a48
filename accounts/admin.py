"""Users in the admin."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts import changes, services
from accounts.models import EmailChange, User
from accounts.services import search_must_look
from mail.tasks import send

#: What a user may do beyond the site itself.
RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")


class InviteForm(forms.ModelForm):  # type: ignore[type-arg]  # Django's own is no generic class when it runs.
    """Asks for an address only: its owner chooses the password, by the link we mail."""

    class Meta:
        """The fields of a new user."""

        model = User
        fields = ("email", "language")

    def clean(self) -> dict[str, Any] | None:
        """Let an invitation take over a sign-up that nobody completed: it must not keep the address from its owner."""
        cleaned = super().clean()
        started = User.objects.never_completed().filter(email=self.cleaned_data.get("email", ""), is_active=True)
        self.instance = started.first() or self.instance
        return cleaned

    def save(self, commit: bool = True) -> User:
        """Return the user, who cannot log in yet."""
        self.instance.set_unusable_password()
        user: User = super().save(commit)
        return user


@admin.register(User)
class UserAdmin(DjangoUserAdmin):  # type: ignore[type-arg]
    """Find people, see whether they are verified, let them in or shut them out."""

    form = UserChangeForm
    add_form = InviteForm
    list_display = (
        "email",
        "name",
        "is_verified",
        "is_active",
        "is_staff",
        "joined_at",
        "last_login",
    )
    list_filter = (
        "is_active",
        "is_staff",
        ("email_verified_at", admin.EmptyFieldListFilter),
        "groups",
    )
    search_fields = ("email", "name", "=id")
    ordering = ("-joined_at",)
    readonly_fields = ("id", "email_verified_at", "joined_at", "last_login")
    fieldsets = (
        (None, {"fields": ("email", "name", "language", "password")}),
        (
            "What they may do",
            {"fields": ("is_active", *RIGHTS)},
        ),
        (
            "On record",
            {"fields": ("id", "email_verified_at", "joined_at", "last_login")},
        ),
    )
    add_fieldsets = (
        (
            None,
            {
                "fields": ("email", "language"),
                "description": "A link to confirm the address and choose a password is mailed to it.",
            },
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """Leave rights to administrators: who may change users must not give them to anybody."""
        return self.readonly_fields if request.user.is_superuser else (*self.readonly_fields, *RIGHTS)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Let administrators change one another, and nobody else them: a new password of theirs is a way in."""
        return super().has_change_permission(request, obj) and _is_below(obj, request)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Let nobody else delete an administrator either."""
        return super().has_delete_permission(request, obj) and _is_below(obj, request)

    @admin.display(boolean=True, description="verified", ordering="email_verified_at")
    def is_verified(self, user: User) -> bool:
        """Whether the address is confirmed."""
        return user.is_verified

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Save, and mail a new user the link that completes the account."""
        super().save_model(request, obj, form, change)
        if not change:
            send.delay(kind="verification", user_id=str(obj.pk))
        search_must_look(obj.pk)
        if "name" in form.changed_data:
            changes.renamed(obj.pk)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """List what goes along. Who may delete a user may delete that too; posts have no deletion here of their own."""
        goes_along, counts, _, protected = super().get_deleted_objects(objs, request)
        return goes_along, counts, set(), protected

    @transaction.atomic
    def delete_model(self, request: HttpRequest, obj: User) -> None:
        """Delete a user, with all that is the user's."""
        services.delete(obj)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Delete users, with all that is theirs."""
        for user in queryset:
            if not self.has_delete_permission(request, user):
                raise PermissionDenied(f"Only administrators delete one: {user}.")
            services.delete(user)


def _is_below(user: User | None, request: HttpRequest) -> bool:
    return request.user.is_superuser or user is None or not user.is_superuser


@admin.register(EmailChange)
class EmailChangeAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The record of changes of address; to be read only."""

    list_display = ("user", "old_email", "new_email", "requested_at", "confirmed_at")
    search_fields = ("old_email", "new_email", "user__email")
    date_hierarchy = "requested_at"

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody may."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: EmailChange | None = None) -> bool:
        """Nobody may."""
        return False
