"""The inbox's pages: the list, and beside it one mail in one of four views."""

import hashlib
from pathlib import Path

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import content_disposition_header
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import condition, require_POST, require_safe

from mail.inbox import reading
from mail.inbox.reading import Mail, Summary
from mail.inbox.store import NoSuchMail, Store

#: What a mail can be seen as.
VIEWS = ("html", "text", "headers", "source")

#: Rules for the frame that shows a mail: nothing runs and nothing is loaded, whatever the mail says; only its links
#: may open a window of their own.
FRAME_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)


def store() -> Store:
    """Return the configured store."""
    return Store(Path(settings.INBOX_DIR))


def _version(request: HttpRequest) -> str:
    """Return what changes exactly when the list does."""
    return '"' + hashlib.sha256("".join(store().ids()).encode()).hexdigest()[:32] + '"'


@never_cache
@require_safe
def inbox(request: HttpRequest) -> HttpResponse:
    """Show the list."""
    return render(request, "mail/inbox/inbox.html", {"mails": _summaries()})


@require_safe
@condition(etag_func=_version)
def listing(request: HttpRequest) -> HttpResponse:
    """Return the list alone, for a page that keeps its own up to date; 304 while nothing has come."""
    return render(
        request,
        "mail/inbox/list.html",
        {"mails": _summaries(), "open_id": request.GET.get("open", "")},
    )


@never_cache
@require_safe
def mail(request: HttpRequest, mail_id: str, view: str = "") -> HttpResponse:
    """Show one mail beside the list."""
    received = _read(mail_id)
    view = view or ("html" if received.html else "text")
    context = {
        "mails": _summaries(),
        "mail": received,
        "open_id": mail_id,
        "view": view,
        "views": VIEWS,
    }
    return render(request, "mail/inbox/mail.html", context)


@require_safe
@xframe_options_sameorigin
def frame(request: HttpRequest, mail_id: str) -> HttpResponse:
    """Return a mail's HTML as it came, for the frame."""
    return HttpResponse(_read(mail_id).html, headers={"Content-Security-Policy": FRAME_POLICY})


@require_safe
def attachment(request: HttpRequest, mail_id: str, number: int) -> HttpResponse:
    """Return an attachment, always as a download."""
    for part in _read(mail_id).attachments:
        if part.number == number:
            header = content_disposition_header(as_attachment=True, filename=part.name) or "attachment"
            headers = {"Content-Disposition": header}
            return HttpResponse(part.content, content_type="application/octet-stream", headers=headers)
    raise Http404("This mail has no such attachment.")


@require_POST
def delete_all(request: HttpRequest) -> HttpResponse:
    """Delete every mail."""
    count = store().clear()
    messages.success(request, "1 mail deleted." if count == 1 else f"{count} mails deleted.")
    return redirect("inbox:inbox")


def _read(mail_id: str) -> Mail:
    try:
        return reading.read(store(), mail_id)
    except NoSuchMail:
        raise Http404("This mail is not in the inbox any more.") from None


def _summaries() -> list[Summary]:
    found = []
    for mail_id in store().ids():
        try:
            found.append(reading.summary(store(), mail_id))
        except NoSuchMail:  # Deleted since it was listed.
            continue
    return found
