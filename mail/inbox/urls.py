"""The addresses of the inbox."""

from django.urls import path, re_path

from mail.inbox import views

app_name = "inbox"

urlpatterns = [
    path("", views.inbox, name="inbox"),
    path("list/", views.listing, name="list"),
    path("delete-all/", views.delete_all, name="delete-all"),
    path("<slug:mail_id>/", views.mail, name="mail"),
    path("<slug:mail_id>/frame/", views.frame, name="frame"),
    path("<slug:mail_id>/attachment/<int:number>/", views.attachment, name="attachment"),
    re_path(
        rf"^(?P<mail_id>[-\w]+)/(?P<view>{'|'.join(views.VIEWS)})/$",
        views.mail,
        name="view",
    ),
]
