"""`/metrics`, and what is shipped to look at it."""
