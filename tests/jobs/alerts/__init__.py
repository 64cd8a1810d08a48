"""Alerts by mail, Slack and webhooks."""
