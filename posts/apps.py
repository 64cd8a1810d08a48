"""Tells Django about the app, and `storage` about the objects it keeps."""

from django.apps import AppConfig


class PostsConfig(AppConfig):
    """Posts."""

    name = "posts"

    def ready(self) -> None:
        """Register what objects are in use, what of posts is searched, and what becomes of them with their author."""
        from posts import authors, references, search  # noqa: PLC0415 (models may be imported from here on, not before)

        authors.register()
        references.register()
        search.register()
