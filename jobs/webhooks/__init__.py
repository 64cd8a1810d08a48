"""Webhooks: one signed POST to an address that may be asked."""
