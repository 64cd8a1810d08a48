"""Where each address leads."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from accounts.views.log_in import AdminLogIn
from jobs.events.view import events
from jobs.metrics.view import metrics
from jobs.observability.health import livez, readyz
from project.front import front

admin.site.login = AdminLogIn.as_view()  # type: ignore[assignment,method-assign]

urlpatterns = [
    path("", front, name="front"),
    path("", include("accounts.urls")),
    path("", include("posts.urls")),
    path("mail/", include("mail.urls")),
    path("media/", include("storage.urls")),
    # Whose password changes gets a notice by mail, from here too.
    path("admin/password_change/", RedirectView.as_view(pattern_name="accounts:password-change")),
    path("jobs/", include("jobs.dashboard.urls")),
    path("admin/", admin.site.urls),
    path("api/events", events),
    path("api/", include("jobs.api.urls")),
    # The admin's pages name no icon of their own.
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}img/lamp.svg", permanent=True)),
    path("metrics", metrics),
    path("livez", livez),
    path("readyz", readyz),
]

if settings.PLAYGROUND:
    urlpatterns += [path("playground/", include("project.playground.views"))]

if settings.INBOX_DIR:
    urlpatterns += [path("inbox/", include("mail.inbox.urls"))]
