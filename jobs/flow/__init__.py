"""Flow control: what limits jobs, decided where they are claimed."""
