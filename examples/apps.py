"""The configuration of the examples' app."""

from django.apps import AppConfig


class ExamplesConfig(AppConfig):
    """Small jobs of the kinds that every site has."""

    name = "examples"
    default_auto_field = "django.db.models.BigAutoField"
