"""What is kept of a job that gave up, or of a message nobody could read."""
