"""The page of search."""

import logging

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from posts.found import asked, find, page_number
from posts.views.reading import covers
from search.errors import SearchError

logger = logging.getLogger(__name__)


@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """Show what matches `q`; say so where the search server is away: that is no error of the reader's."""
    query = asked(request.GET.get("q", ""))
    context: dict[str, object] = {"query": query}
    if not query:
        return render(request, "posts/search.html", context)
    try:
        page = find(query, page_number(request.GET.get("page", "")))
    except SearchError as exc:
        logger.warning("A search failed: %s", exc)
        context["away"] = "for good" if exc.permanent else "for now"
        return render(request, "posts/search.html", context, status=503)
    context |= {"page": page, "covers": covers([one.post for one in page.found])}
    return render(request, "posts/search.html", context)
