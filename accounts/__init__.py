"""Accounts: signing up, logging in, and proving that an address is one's own."""
