"""Transactional email: messages, written by other apps, rendered and sent as durable jobs.

An app that has something to say registers a writer for its kind of message with `mail.messages.register` and
requests one with `mail.tasks.send.delay(kind=…, …)` in its own transaction. Everything that must stay secret is
made when the message is written, in the worker; a job's arguments only name what the message is about.
"""
