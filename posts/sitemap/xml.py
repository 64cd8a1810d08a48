"""The sitemap protocol in bytes. Pure: https://www.sitemaps.org/protocol.html, and Google's image extension."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from xml.sax.saxutils import escape

#: The protocol's limits for one file, not compressed, and the extension's for one page.
MAX_URLS = 50_000
MAX_BYTES = 50 * 1024 * 1024
MAX_IMAGES = 1_000

_NAMESPACE = "http://www.sitemaps.org/schemas/sitemap/0.9"
_IMAGES = "http://www.google.com/schemas/sitemap-image/1.1"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

HEAD = f'{_DECLARATION}<urlset xmlns="{_NAMESPACE}" xmlns:image="{_IMAGES}">\n'.encode()
FOOT = b"</urlset>\n"


def entry(address: str, changed_at: datetime | None = None, images: Sequence[str] = ()) -> bytes:
    """Return one page's element."""
    lastmod = f"<lastmod>{moment(changed_at)}</lastmod>" if changed_at else ""
    pictures = "".join(
        f"<image:image><image:loc>{escape(image)}</image:loc></image:image>" for image in images[:MAX_IMAGES]
    )
    return f"<url><loc>{escape(address)}</loc>{lastmod}{pictures}</url>\n".encode()


def index(addresses: Iterable[str], written_at: datetime) -> bytes:
    """Return the index of the shards at these addresses."""
    stamp = moment(written_at)
    shards = "".join(
        f"<sitemap><loc>{escape(address)}</loc><lastmod>{stamp}</lastmod></sitemap>\n" for address in addresses
    )
    return f'{_DECLARATION}<sitemapindex xmlns="{_NAMESPACE}">\n{shards}</sitemapindex>\n'.encode()


def moment(value: datetime) -> str:
    """Return a time as the protocol wants it, to the second."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")
