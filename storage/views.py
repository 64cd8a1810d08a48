"""Serves objects that have no public address: those of a store without one, and those that are not for everybody."""

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils.http import parse_etags
from django.views.decorators.http import require_safe

from storage import references
from storage.client import FOREVER, Stored, store
from storage.errors import ObjectMissing, StorageError
from storage.images import MAX_VARIANT_BYTES
from storage.pipeline import aside

_PRIVATE = "private, no-store"


@require_safe
def serve(request: HttpRequest, store_name: str, key: str) -> HttpResponse:
    """Answer with an image to those who may see it. Nothing else is served, and nothing of it may run as a page."""
    if not key.startswith(tuple(references.prefixes())):
        raise Http404("No app has such objects.")
    # Who asks is looked at only where it matters, so that the answer for everybody depends on no cookie.
    published = key in references.published([key])
    if not published and not references.may_read(request.user, key):
        raise Http404("There is no such object, or it is not published.")
    try:
        stored = _stored(store_name, key)
    except StorageError as exc:
        if exc.permanent:
            raise Http404(str(exc)) from exc
        return HttpResponse("The store does not answer; try again soon.", status=503, content_type="text/plain")
    if not stored.content_type.startswith("image/"):
        raise Http404("The object is no image.")
    cache_control = FOREVER if published else _PRIVATE
    headers = {"ETag": stored.etag, "Cache-Control": cache_control, "X-Content-Type-Options": "nosniff"}
    if stored.etag in parse_etags(request.headers.get("If-None-Match", "")):
        return HttpResponseNotModified(headers=headers)
    return HttpResponse(stored.data, content_type=stored.content_type, headers=headers)


def _stored(store_name: str, key: str) -> Stored:
    """Return the object from where it is, or where it waits to be published."""
    limit = max(settings.IMAGES_MAX_BYTES, MAX_VARIANT_BYTES)
    try:
        return store(store_name).get(key, limit=limit)
    except ObjectMissing:
        if store_name != "assets":
            raise
        return store("content").get(aside(key), limit=limit)
