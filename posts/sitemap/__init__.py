"""The sitemap: written by a job into the assets store, served from there."""
