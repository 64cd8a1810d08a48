"""The account page."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect

from accounts import services
from accounts.forms import ProfileForm
from accounts.views.pages import MemberPage


class Account(MemberPage):
    """Shows what we know of a user, and changes how they are addressed."""

    template_name = "accounts/account.html"
    form_class = ProfileForm

    def get_initial(self) -> dict[str, Any]:
        """Return what is on record."""
        return {"name": self.user.name, "language": self.user.language or "en"}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return the open change of address, too."""
        pending = self.user.email_changes.filter(confirmed_at=None).first()
        return super().get_context_data(pending=pending, **kwargs)

    def form_valid(self, form: ProfileForm) -> HttpResponse:
        """Keep it."""
        services.update_profile(self.user, **form.cleaned_data)
        messages.success(self.request, "Saved.")
        return redirect("accounts:account")
