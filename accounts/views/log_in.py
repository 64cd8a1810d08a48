"""Logging in and out. The admin uses this log-in, too."""

from typing import Any

from django.contrib.auth import views
from django.http import HttpRequest, HttpResponse

from accounts import throttle
from accounts.forms import LogInForm
from accounts.views.pages import FormPage


class LogIn(views.LoginView, FormPage):
    """Asks for address and password."""

    template_name = "accounts/log_in.html"
    form_class = LogInForm
    authentication_form = LogInForm
    redirect_authenticated_user = True
    throttle = throttle.LOG_IN

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Log in, unless this was one attempt too many."""
        return FormPage.post(self, request, *args, **kwargs)

    def throttled_address(self) -> str:
        """Return the address typed."""
        return self.request.POST.get("username", "")


class LogOut(views.LogoutView):
    """Logs out, by POST only: no other site's image or link can do it."""
