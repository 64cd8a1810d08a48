"""The tests of the Django Tasks API against our backend; `python tests/django_tasks_suite` runs them."""
