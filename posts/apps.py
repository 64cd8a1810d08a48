"""Tells Django about the app, and `storage` about the objects it keeps."""

from django.apps import AppConfig


class PostsConfig(AppConfig):
    """Posts."""

    name = "posts"

    def ready(self) -> None:
        """Register which objects in the stores are in use, and what of posts is searched."""
        from posts import references, search  # noqa: PLC0415 (models may be imported from here on, not before)

        references.register()
        search.register()
