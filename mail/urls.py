"""The addresses that mails lead to."""

from django.urls import path

from mail import views

app_name = "mail"

urlpatterns = [path("unsubscribe/<str:token>/", views.unsubscribe, name="unsubscribe")]
