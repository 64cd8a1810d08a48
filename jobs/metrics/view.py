"""The page that Prometheus scrapes. Closed by default: it says what runs here, and how badly."""

import hmac
from collections.abc import Iterator

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from jobs.metrics.families import families
from jobs.operations import tokens
from jobs.operations.tokens import PERMISSIONS, Scope


class Ledger(Collector):
    """Reads everything anew at each scrape."""

    def collect(self) -> Iterator[Metric]:
        """Return every metric as it is now."""
        return families()


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer a scrape: with METRICS_TOKEN, a token that has the scope `read`, or a member of staff who may look."""
    if not _may_read(request):
        return HttpResponse(
            "Send METRICS_TOKEN, or a token with the scope read, as `Authorization: Bearer …`.\n",
            status=401,
            content_type="text/plain",
            headers={"WWW-Authenticate": "Bearer"},
        )
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Ledger())
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(registry), content_type=content_type)


def shows_token(request: HttpRequest) -> bool:
    """Return whether a scrape is to be judged by its token, good or not, and by nothing else."""
    return request.headers.get("Authorization", "").lower().startswith("bearer ")


def _may_read(request: HttpRequest) -> bool:
    if shows_token(request):
        token = request.headers["Authorization"].partition(" ")[2]
        own = settings.METRICS_TOKEN
        if own and hmac.compare_digest(own.encode(), token.strip().encode()):
            return True
        row = tokens.recognise(token.strip())
        return row is not None and Scope.READ in row.scopes
    user = request.user
    return user.is_active and user.is_staff and user.has_perm(PERMISSIONS[Scope.READ])
