"""Passwords: a new one by mail for who forgot theirs, or on the account page."""

from typing import Any

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from accounts import links, services, throttle
from accounts.forms import ChangePasswordForm, PasswordForm
from accounts.links import LinkError
from accounts.models import User
from accounts.views.pages import FormPage, LinkPage, MemberPage, link_refused


class RequestReset(LinkPage):
    """Mails a link to a new password."""

    template_name = "accounts/password_reset.html"
    sent_page = "password-reset-sent"

    def mail_link(self, email: str) -> None:
        """Have the link mailed, if there is an account."""
        services.request_password_reset(email)


class Reset(FormPage):
    """Where the mailed link leads: asks for the new password. Opening the page changes nothing."""

    template_name = "accounts/password_reset_confirm.html"
    form_class = PasswordForm
    user: User

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Refuse a link that is not good."""
        try:
            self.user = links.PASSWORD_RESET.open(kwargs["token"])
            return super().dispatch(request, *args, **kwargs)
        except LinkError as exc:
            return link_refused(request, exc, "accounts:password-reset")

    def get_form_kwargs(self) -> dict[str, Any]:
        """Let the form compare the password with what is known of the user."""
        return {**super().get_form_kwargs(), "user": self.user}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return whose password it is."""
        return super().get_context_data(email=self.user.email, **kwargs)

    def form_valid(self, form: PasswordForm) -> HttpResponse:
        """Set the password; whoever was logged in with the old one no longer is."""
        services.reset_password(self.kwargs["token"], form.cleaned_data["password"])
        messages.success(self.request, "Your password is changed. Log in with the new one.")
        return redirect("accounts:log-in")


class Change(MemberPage):
    """Asks for the current and a new password."""

    template_name = "accounts/password_change.html"
    form_class = ChangePasswordForm
    throttle = throttle.LOG_IN

    def get_form_kwargs(self) -> dict[str, Any]:
        """Let the form check the current password."""
        return {**super().get_form_kwargs(), "user": self.user}

    def form_valid(self, form: ChangePasswordForm) -> HttpResponse:
        """Set the password; every other session ends, this one gets a new key."""
        services.change_password(self.user, form.cleaned_data["password"])
        update_session_auth_hash(self.request, self.user)
        messages.success(
            self.request,
            "Your password is changed. Everywhere else you are logged out.",
        )
        return redirect("accounts:account")
