"""Serves objects of a store that has no public address: in development, and in small installations."""

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils.http import parse_etags
from django.views.decorators.http import require_safe

from storage import references
from storage.client import FOREVER, store
from storage.errors import ObjectMissing, StorageError
from storage.images import MAX_VARIANT_BYTES


@require_safe
def serve(request: HttpRequest, store_name: str, key: str) -> HttpResponse:
    """Answer with an image. Nothing else in the bucket is for the public, and nothing in it may run as a page."""
    if not key.startswith(tuple(references.prefixes())):
        raise Http404("No app has such objects.")
    try:
        stored = store(store_name).get(key, limit=max(settings.IMAGES_MAX_BYTES, MAX_VARIANT_BYTES))
    except ObjectMissing as exc:
        raise Http404(str(exc)) from exc
    except StorageError as exc:
        if exc.permanent:
            raise Http404(str(exc)) from exc
        return HttpResponse("The store does not answer; try again soon.", status=503, content_type="text/plain")
    if not stored.content_type.startswith("image/"):
        raise Http404("The object is no image.")
    headers = {"ETag": stored.etag, "Cache-Control": FOREVER, "X-Content-Type-Options": "nosniff"}
    if stored.etag in parse_etags(request.headers.get("If-None-Match", "")):
        return HttpResponseNotModified(headers=headers)
    return HttpResponse(stored.data, content_type=stored.content_type, headers=headers)
