"""`manage.py jobs`."""
