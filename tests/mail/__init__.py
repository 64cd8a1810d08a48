"""Tests of letters, messages, the SMTP client and the development inbox."""
