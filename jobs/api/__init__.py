"""The REST API under `/api/`. `urls` puts it together; `docs/api.md` tells its users about it."""
