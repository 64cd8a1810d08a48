"""Alerts: what the overview says is wrong, told by mail, Slack and signed webhooks."""
