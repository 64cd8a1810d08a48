"""What joins a request and its jobs."""
