"""What joins a request, its jobs and their children in logs, error reports and traces."""
