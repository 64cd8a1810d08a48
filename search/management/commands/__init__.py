"""`manage.py reindex`."""
