"""The tests of the package `django-tasks` against our backend; `python tests/django_tasks_suite` runs them."""
