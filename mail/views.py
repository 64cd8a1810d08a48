"""The page behind the link in a mailing."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from mail import unsubscribing
from mail.unsubscribing import LinkError


@never_cache
@csrf_exempt  # The signed link is all the proof there is: mail programs post it without a cookie (RFC 8058, 3.2).
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Show the button, and unsubscribe on POST alone: programs that look into mails follow every link by GET."""
    try:
        address = unsubscribing.address_of(token)
    except LinkError as exc:
        return render(request, "mail/unsubscribe_refused.html", {"reason": exc}, status=HTTPStatus.NOT_FOUND)
    if request.method == "POST":
        unsubscribing.unsubscribe(address)
    done = bool(unsubscribing.unsubscribed([address]))
    return render(request, "mail/unsubscribe.html", {"address": address, "done": done})
