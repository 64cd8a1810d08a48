"""The tests; `conftest.py` says what they can ask for."""
