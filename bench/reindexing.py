"""One reindex of all posts, as the job does it."""

import uuid

from search.documents import kind
from search.reindexing import reindex


def reindex_posts() -> str:
    """Reindex, and say how many documents there are."""
    return f"{reindex(kind('post'), uuid.uuid4(), lambda *_: None):,} documents"
