"""The dashboard, as the server renders it."""
