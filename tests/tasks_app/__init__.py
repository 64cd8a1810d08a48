"""A Django app with tasks for tests only, enabled by EXTRA_APPS=tests.tasks_app."""
