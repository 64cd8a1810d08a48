"""Search: documents of the site in an index, kept right by jobs."""
