"""The addresses of the account pages."""

from django.urls import path

from accounts.views import email, password
from accounts.views.account import Account
from accounts.views.log_in import LogIn, LogOut
from accounts.views.pages import SentPage
from accounts.views.sign_up import Resend, SignUp, Verify

app_name = "accounts"

urlpatterns = [
    path("sign-up/", SignUp.as_view(), name="sign-up"),
    path(
        "sign-up/sent/",
        SentPage.as_view(template_name="accounts/sign_up_sent.html"),
        name="sign-up-sent",
    ),
    path("sign-up/again/", Resend.as_view(), name="resend"),
    path("verify/<str:token>/", Verify.as_view(), name="verify"),
    path("log-in/", LogIn.as_view(), name="log-in"),
    path("log-out/", LogOut.as_view(), name="log-out"),
    path("password-reset/", password.RequestReset.as_view(), name="password-reset"),
    path(
        "password-reset/sent/",
        SentPage.as_view(template_name="accounts/password_reset_sent.html"),
        name="password-reset-sent",
    ),
    path(
        "password-reset/<str:token>/",
        password.Reset.as_view(),
        name="password-reset-confirm",
    ),
    path("account/", Account.as_view(), name="account"),
    path("account/password/", password.Change.as_view(), name="password-change"),
    path("account/email/", email.Change.as_view(), name="email-change"),
    path("account/email/cancel/", email.cancel, name="email-change-cancel"),
    path("confirm-email/<str:token>/", email.confirm, name="email-change-confirm"),
]
