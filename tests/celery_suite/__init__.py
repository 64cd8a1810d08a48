"""Celery's own integration tests of canvas and tasks, on jobs; `python tests/celery_suite` runs them."""
