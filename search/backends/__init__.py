"""Where the documents are: a Meilisearch server, or the site's own database."""

from functools import cache

from django.conf import settings

from search.backends.base import SearchBackend


@cache
def backend() -> SearchBackend:
    """Return the backend in use: Meilisearch where MEILISEARCH_URL is set, else the database."""
    if settings.MEILISEARCH_URL:
        from search.backends.meilisearch import MeilisearchBackend  # noqa: PLC0415 (only where it is used)

        return MeilisearchBackend(settings.MEILISEARCH_URL, settings.MEILISEARCH_API_KEY)
    from search.backends.embedded import EmbeddedBackend  # noqa: PLC0415 (its models need the apps)

    return EmbeddedBackend()
