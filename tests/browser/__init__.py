"""Journeys through the running site, in a real browser."""
