"""The app's configuration."""

from django.apps import AppConfig


class SearchConfig(AppConfig):
    """Documents in an index, kept right by jobs."""

    name = "search"
