"""Messages by other ways than mail."""
