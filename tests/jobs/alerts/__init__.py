"""Alerts that leave the house."""
