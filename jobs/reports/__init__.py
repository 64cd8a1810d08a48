"""What is going on, in figures: for the API, the dashboard, the metrics and the command line."""
