"""Moving to another address: asked for here, confirmed there."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts import links, services, throttle
from accounts.forms import ChangeEmailForm
from accounts.links import LinkError
from accounts.services import AddressTaken
from accounts.views.pages import MemberPage, link_refused, signed_in


class Change(MemberPage):
    """Asks for a new address and mails a link to it; says the same whether or not it has an account."""

    template_name = "accounts/email_change.html"
    form_class = ChangeEmailForm
    throttle = throttle.LOG_IN

    def get_form_kwargs(self) -> dict[str, Any]:
        """Let the form check password and present address."""
        return {**super().get_form_kwargs(), "user": self.user}

    def form_valid(self, form: ChangeEmailForm) -> HttpResponse:
        """Have the link mailed, unless too many mails were asked for."""
        seconds = throttle.MAIL.seconds_to_wait(self.request, form.cleaned_data["email"])
        if seconds:
            return self.refuse(seconds)
        change = services.request_email_change(self.user, form.cleaned_data["email"])
        messages.success(
            self.request,
            f"We sent a link to {change.new_email}. Your address changes when you follow it.",
        )
        return redirect("accounts:account")


@require_POST
@login_required
def cancel(request: HttpRequest) -> HttpResponse:
    """Void the open change: its link stops working."""
    services.cancel_email_change(signed_in(request))
    messages.success(request, "Your address stays as it is.")
    return redirect("accounts:account")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """Where the mailed link leads: shows the change, and makes it on POST. It proves itself, no log-in is needed."""
    try:
        if request.method != "POST":
            change = links.EMAIL_CHANGE.open(token)
            return render(request, "accounts/email_change_confirm.html", {"change": change})
        change = services.confirm_email_change(token)
    except (LinkError, AddressTaken) as exc:
        return link_refused(request, exc, "accounts:email-change")
    messages.success(request, f"Your address is {change.new_email} now. Log in with it from here on.")
    return redirect("accounts:account")
