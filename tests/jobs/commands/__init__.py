"""`manage.py jobs …`."""
