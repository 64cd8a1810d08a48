"""Tests of webhooks: where they may lead, what they are told, and what comes of it."""
