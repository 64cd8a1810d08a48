"""What the sitemap's files are called, in the store and on the site. Pure."""

import re

#: In the assets store. The job that writes below it also removes what is stale there.
PREFIX = "sitemap/"
INDEX = f"{PREFIX}sitemap.xml"

#: On the site the shards lie at the root: a sitemap may only list what lies beside or below it.
SHARD_PATTERN = r"sitemap-\d{5,7}-[0-9a-f]{16}\.xml\.gz"
_SHARD = re.compile(SHARD_PATTERN)


def shard_name(number: int, digest: str) -> str:
    """Return a shard's name: of another content, another name, so an index never leads to a newer shard."""
    name = f"sitemap-{number:05}-{digest[:16]}.xml.gz"
    if not _SHARD.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a shard.")
    return name


def shard_key(name: str) -> str:
    """Return the key of the shard of this name."""
    return PREFIX + name
