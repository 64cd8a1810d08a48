"""The app that holds the tasks of the chaos suite, enabled by EXTRA_APPS=tests.chaos."""

from django.apps import AppConfig


class ChaosConfig(AppConfig):
    """Tasks that work, fail, hang on and die, and write down what they did."""

    name = "tests.chaos"
    label = "chaos"
