"""Tells Django about the app, and `storage` about the objects it keeps."""

from typing import Any

from django.apps import AppConfig, apps as present
from django.apps.registry import Apps
from django.db import DEFAULT_DB_ALIAS
from django.db.models.signals import post_migrate


class PostsConfig(AppConfig):
    """Posts."""

    name = "posts"

    def ready(self) -> None:
        """Register what objects are in use, what of posts is searched, and what becomes of them with their author."""
        from posts import authors, references, search  # noqa: PLC0415 (models may be imported from here on, not before)

        authors.register()
        references.register()
        search.register()
        post_migrate.connect(_follow_release, sender=self)


def _follow_release(using: str, apps: Apps = present, **kwargs: Any) -> None:
    """Enqueue what a new release has to do with what is there: every release migrates."""
    from posts import placing, rendering, tasks  # noqa: PLC0415 (see `ready`)

    # Somebody may be going back to an earlier migration.
    reached = "posts" in apps.all_models and hasattr(apps.get_model("posts", "PostImage"), "is_public")
    if not reached or using != DEFAULT_DB_ALIAS:
        return
    if rendering.is_due():
        tasks.render_posts.delay()
    tasks.place_images.delay_many((str(post_id),) for post_id in placing.misplaced_posts())
