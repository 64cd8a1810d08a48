"""Tests of messages, their MIME, the SMTP client and the development inbox."""
