"""Objects: two S3-compatible stores, the keys in them, and the jobs that delete, resize and sweep."""
