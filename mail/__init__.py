"""Transactional email: letters, written by other apps, rendered and sent as durable jobs.

An app that has something to say registers a writer for its kind of letter with `mail.letters.register` and
requests one with `mail.tasks.send.delay(kind=…, …)` in its own transaction. Everything that must stay secret is
made when the letter is written, in the worker; a job's arguments only name what the letter is about.
"""
