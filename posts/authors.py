"""What becomes of posts when their author is renamed or deleted."""

import uuid

from accounts import changes
from posts import services
from posts.tasks import index_posts_of


def register() -> None:
    """Follow changes of users. Called once, at start."""
    changes.register(renamed=_renamed, leaving=services.delete_all_of)


def _renamed(author_id: uuid.UUID) -> None:
    # A job, since there may be thousands.
    index_posts_of.delay(str(author_id))
