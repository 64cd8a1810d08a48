"""What the pages of this app have in common."""

from typing import Any, cast

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import FormView, TemplateView

from accounts.forms import AddressForm
from accounts.models import User
from accounts.throttle import MAIL, Throttle, inbox_has_enough

#: In the session: where the last mail was sent to, for the page that says so.
MAILED_TO = "accounts.mailed_to"


@method_decorator((never_cache, sensitive_post_parameters()), name="dispatch")
class FormPage(FormView):  # type: ignore[type-arg]  # Django's own is no generic class when it runs.
    """A page with one form, which may limit how often it is sent off."""

    throttle: Throttle | None = None

    def get_form_kwargs(self) -> dict[str, Any]:
        """Set the labels without a colon."""
        return {**super().get_form_kwargs(), "label_suffix": ""}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Act on the form, unless this was one attempt too many."""
        if self.throttle is not None:
            seconds = self.throttle.seconds_to_wait(request, self.throttled_address())
            if seconds:
                return self.refuse(seconds)
        return super().post(request, *args, **kwargs)

    def throttled_address(self) -> str:
        """Return the address that attempts are counted for."""
        return self.request.POST.get("email", "")

    def refuse(self, seconds: int) -> HttpResponse:
        """Answer 429 with the form as it was filled in; it is not even read, so guessing goes no further."""
        minutes = -(-seconds // 60)
        wait = "1 minute" if minutes == 1 else f"{minutes} minutes"
        filled_in = {"data": None, "files": None, "initial": self.request.POST.dict()}
        unread = self.get_form_class()(**self.get_form_kwargs() | filled_in)
        response = self.render_to_response(self.get_context_data(form=unread, wait=wait), status=429)
        response["Retry-After"] = str(seconds)
        return response


class LinkPage(FormPage):
    """Asks for an address and has a link mailed to it; says the same whether or not it has an account."""

    form_class = AddressForm
    throttle = MAIL
    #: The name of the page that follows.
    sent_page: str

    def mail_link(self, email: str) -> None:
        """Have the link mailed, if there is an account for it."""
        raise NotImplementedError

    def form_valid(self, form: AddressForm) -> HttpResponse:
        """Have the link mailed, unless the inbox has enough of them, and say that one is on its way."""
        email = form.cleaned_data["email"]
        if not inbox_has_enough(self.sent_page, email):
            self.mail_link(email)
        self.request.session[MAILED_TO] = email
        return redirect(f"accounts:{self.sent_page}")


class VisitorPage(FormPage):
    """A form page that makes no sense for people who are logged in."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Send them to their account."""
        if request.user.is_authenticated:
            return redirect("accounts:account")
        return super().dispatch(request, *args, **kwargs)


class MemberPage(FormPage):
    """A form page for people who are logged in."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Send everybody else to the log-in."""
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        return super().dispatch(request, *args, **kwargs)

    @property
    def user(self) -> User:
        """Who is logged in."""
        return cast("User", self.request.user)

    def throttled_address(self) -> str:
        """Return the user's own address."""
        return self.user.email


class SentPage(TemplateView):
    """Says that a mail is on its way, and what to do if it does not come."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return the address that was typed, which need not have an account."""
        address = self.request.session.get(MAILED_TO, "")
        return super().get_context_data(address=address, inbox=bool(settings.INBOX_DIR), **kwargs)


def link_refused(request: HttpRequest, reason: Exception, again: str) -> HttpResponse:
    """Say why a mailed link does not work, and where to get a new one; `again` names that page."""
    return render(
        request,
        "accounts/link_refused.html",
        {"reason": reason, "again": again},
        status=410,
    )


def signed_in(request: HttpRequest) -> User:
    """Return the user of a page that only logged-in people reach."""
    return cast("User", request.user)
