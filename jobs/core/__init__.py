"""The engine's rules: no database, no clock, no network."""
