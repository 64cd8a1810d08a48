"""What people type, checked: every message says what is wrong and what would be right."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.password_validation import (
    MinimumLengthValidator,
    get_default_password_validators,
    validate_password,
)

from accounts.models import MAX_EMAIL, MAX_NAME, User
from mail.addresses import canonical, refuse_control_characters
from mail.errors import InvalidMail


class EmailField(forms.CharField):
    """An address that mail can be sent to, in its canonical spelling."""

    widget = forms.EmailInput(attrs={"autocomplete": "email", "spellcheck": "false"})

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": MAX_EMAIL, "label": "Email address", **kwargs})

    def clean(self, value: Any) -> str:
        """Return the canonical spelling."""
        text = super().clean(value)
        if not text:
            return ""
        try:
            return canonical(text)
        except InvalidMail:
            raise forms.ValidationError("This is not an email address: it should look like name@example.com.") from None


class NameField(forms.CharField):
    """What somebody is called; never a line break, since it goes into mail headers."""

    widget = forms.TextInput(attrs={"autocomplete": "name"})

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": MAX_NAME, "label": "Name", "required": False, **kwargs})

    def clean(self, value: Any) -> str:
        """Return the name."""
        name: str = super().clean(value)
        try:
            return refuse_control_characters(name, "name")
        except InvalidMail:
            raise forms.ValidationError("A name is one line, without control characters.") from None


class NewPasswordField(forms.CharField):
    """A password about to be chosen. Asked for once: it can be shown, and forgotten ones can be reset."""

    widget = forms.PasswordInput(attrs={"autocomplete": "new-password"})

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            **{
                "strip": False,
                "label": "Password",
                "help_text": _length_rule(),
                **kwargs,
            }
        )


def _length_rule() -> str:
    """Return the one rule worth knowing beforehand; the others speak up when they are broken."""
    return " ".join(
        validator.get_help_text()
        for validator in get_default_password_validators()
        if isinstance(validator, MinimumLengthValidator)
    )


class AddressForm(forms.Form):
    """Asks for nothing but an address: sign-up, and every message that can be had again."""

    email = EmailField()


class PasswordForm(forms.Form):
    """Asks for a new password, checked against what else is known of the user."""

    password = NewPasswordField()

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_password(self) -> str:
        """Return the password if it is good enough."""
        password: str = self.cleaned_data["password"]
        validate_password(password, self.user)
        return password


class CompleteSignUpForm(PasswordForm):
    """Asks whoever followed a verification link for what the account still lacks."""

    name = NameField(help_text="How we address you. You can leave it empty.")
    field_order = ("name", "password")


class LogInForm(AuthenticationForm):
    """Asks for address and password.

    An account whose address is not verified has no password yet, so it answers like an unknown one.
    """

    username = EmailField(widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True}))
    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": "This address and password do not match. A new account needs its address confirmed first.",
    }


class CurrentPasswordMixin(forms.Form):
    """Asks for the password again before something that would lock the owner out."""

    current_password = forms.CharField(
        label="Current password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    user: User

    def clean_current_password(self) -> str:
        """Return the password if it is the user's."""
        password: str = self.cleaned_data["current_password"]
        if not self.user.check_password(password):
            raise forms.ValidationError("This is not your current password.")
        return password


class ChangePasswordForm(CurrentPasswordMixin, PasswordForm):
    """Asks for the current and a new password."""

    password = NewPasswordField(label="New password")
    field_order = ("current_password", "password")


class ChangeEmailForm(CurrentPasswordMixin):
    """Asks for a new address."""

    email = EmailField(label="New email address")
    field_order = ("email", "current_password")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_email(self) -> str:
        """Return the address unless it is the present one."""
        email: str = self.cleaned_data["email"]
        if email == self.user.email:
            raise forms.ValidationError("This is your address already.")
        return email


class ProfileForm(forms.Form):
    """Asks how somebody wants to be addressed."""

    name = NameField(help_text="How we address you. You can leave it empty.")
    language = forms.ChoiceField(
        choices=settings.LANGUAGES,
        label="Language of our mails",
        help_text="The pages are in English.",
    )
