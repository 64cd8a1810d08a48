"""What a deployment runs."""
