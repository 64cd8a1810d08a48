"""What of a user is searched: name and address, for the people who look after the site."""

from collections.abc import Iterator, Sequence

from accounts.models import User
from search import documents
from search.documents import Document, IndexSettings, Kind

SETTINGS = IndexSettings(searchable=("name", "email"), filterable=("is_active",), sortable=("joined_at",))


def register() -> None:
    """Declare users to `search`."""
    documents.register(Kind("user", "users", SETTINGS, load=_load, page=_page, count=_count))


def _load(ids: Sequence[str]) -> Iterator[Document]:
    for user in User.objects.filter(pk__in=ids, email_verified_at__isnull=False):
        yield {
            "id": str(user.pk),
            "name": user.name,
            "email": user.email,
            "is_active": user.is_active,
            "joined_at": user.joined_at.timestamp(),
        }


def _page(after: str, limit: int) -> list[str]:
    found = User.objects.filter(email_verified_at__isnull=False).order_by("pk")
    if after:
        found = found.filter(pk__gt=after)
    return [str(key) for key in found.values_list("pk", flat=True)[:limit]]


def _count() -> int:
    return User.objects.filter(email_verified_at__isnull=False).count()
