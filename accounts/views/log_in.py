"""Logging in and out, of the admin, too: its own form would know nothing of our limits on attempts."""

from typing import Any

from django.contrib import admin
from django.contrib.auth import views
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

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


class AdminLogIn(LogIn):
    """Where the admin sends whoever may not use it: visitors to the log-in, members to another account."""

    # Or a member who may not use the admin would be sent round in a circle.
    redirect_authenticated_user = False

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Send everybody on but members who may not use the admin: they can log in as somebody else."""
        if not request.user.is_authenticated:
            return redirect_to_login(self.get_success_url())
        if admin.site.has_permission(request):
            return HttpResponseRedirect(self.get_success_url())
        return super().get(request, *args, **kwargs)

    def get_default_redirect_url(self) -> str:
        """Return where it leads without `next`."""
        return reverse("admin:index")


class LogOut(views.LogoutView):
    """Logs out, by POST only: no other site's image or link can do it."""
