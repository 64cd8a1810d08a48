"""Signing up: an address, a link, a password."""

from typing import Any

from django.contrib import messages
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import get_language_from_request

from accounts import links, services
from accounts.forms import CompleteSignUpForm
from accounts.links import LinkError
from accounts.models import User
from accounts.views.pages import FormPage, LinkPage, VisitorPage, link_refused

BACKEND = "django.contrib.auth.backends.ModelBackend"


class SignUp(LinkPage, VisitorPage):
    """Mails a link to a new account."""

    template_name = "accounts/sign_up.html"
    sent_page = "sign-up-sent"

    def mail_link(self, email: str) -> None:
        """Have the link mailed."""
        services.sign_up(email, language=get_language_from_request(self.request))


class Resend(LinkPage, VisitorPage):
    """Mails the link that completes an account once more."""

    template_name = "accounts/resend.html"
    sent_page = "sign-up-sent"

    def mail_link(self, email: str) -> None:
        """Have the link mailed, if there is an account to complete."""
        services.resend_verification(email)


class Verify(FormPage):
    """Where the mailed link leads: only choosing a password completes the account.

    Opening the page changes nothing, so a mail scanner that follows links uses none up.
    """

    template_name = "accounts/verify.html"
    form_class = CompleteSignUpForm
    user: User

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Refuse a link that is not good."""
        try:
            self.user = links.VERIFICATION.open(kwargs["token"])
            return super().dispatch(request, *args, **kwargs)
        except LinkError as exc:
            return link_refused(request, exc, "accounts:resend")

    def get_form_kwargs(self) -> dict[str, Any]:
        """Let the form compare the password with the address."""
        return {**super().get_form_kwargs(), "user": self.user}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return whose account it is."""
        return super().get_context_data(email=self.user.email, **kwargs)

    def form_valid(self, form: CompleteSignUpForm) -> HttpResponse:
        """Complete the account and log its owner in."""
        user = services.complete_sign_up(
            self.kwargs["token"],
            password=form.cleaned_data["password"],
            name=form.cleaned_data["name"],
        )
        login(self.request, user, backend=BACKEND)
        messages.success(self.request, "Your address is confirmed and you are logged in.")
        return redirect("accounts:account")
