"""What crawlers ask for: the sitemap, as the job wrote it, and robots.txt."""

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from posts.sitemap import pages, place, xml
from storage.client import store
from storage.errors import StorageError

#: Nothing to be found there, or nothing for the public.
_CLOSED = ("/account/", "/admin/", "/api/", "/inbox/", "/jobs/", "/posts/mine/", "/posts/new/", "/posts/search/")


@require_safe
def sitemap(request: HttpRequest) -> HttpResponse:
    """Answer with the index of the sitemap."""
    return _served(place.INDEX, "application/xml", "public, max-age=3600")


@require_safe
def shard(request: HttpRequest, name: str) -> HttpResponse:
    """Answer with one file of the sitemap."""
    return _served(place.shard_key(name), "application/gzip", "public, max-age=86400")


def _served(key: str, content_type: str, cache_control: str) -> HttpResponse:
    try:
        stored = store("assets").get(key, limit=xml.MAX_BYTES)
    except StorageError as exc:
        if not exc.permanent:
            return HttpResponse("The store does not answer; try again soon.", status=503, content_type="text/plain")
        raise Http404("The sitemap has not been written yet, or not this part of it.") from exc
    return HttpResponse(stored.data, content_type=content_type, headers={"Cache-Control": cache_control})


@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    """Answer with what crawlers may read, and where the sitemap is."""
    closed = "".join(f"Disallow: {path}\n" for path in _CLOSED)
    text = f"User-agent: *\n{closed}\nSitemap: {pages.address(reverse('sitemap'))}\n"
    return HttpResponse(text, content_type="text/plain; charset=utf-8")
