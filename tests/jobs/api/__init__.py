"""The API under `/api/`, and what else programs read."""
