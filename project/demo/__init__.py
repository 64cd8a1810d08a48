"""What a new development site begins with: people, posts with pictures, and an hour of history."""
