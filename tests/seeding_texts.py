"""What fails in a seeded ledger, in the words in which such things fail."""

SUBJECTS = (
    "Welcome",
    "Confirm your address",
    "Dein Passwort wurde geändert",
    "Your export is ready, all 12 parts of it",
)

LOST = "WorkerLost: The lease ran out: worker worker@web-2 is gone, frozen or out of touch."

OF_MAIL = (
    "MailError: the mail server refused the recipient: 550 5.1.1 <reader{n}@example.com>: User unknown",
    "SMTPServerDisconnected: Connection unexpectedly closed",
    "MailError: the mail server answered 451 4.3.2 to DATA: please try again later",
    LOST,
)
OF_STORES = (
    "ConnectTimeoutError: Connect timeout on endpoint URL: https://storage.example.com/assets/posts/{n}",
    "StorageError: the assets store answered 503 to PutObject: SlowDown",
    LOST,
)
OF_BILLING = (
    "ValidationError: 1 validation error for Invoice\nlines.{n}.amount\n  Input should be a valid decimal",
    "RateLimitError: Request req_{n} was rate-limited; try again in 20 s",
)

_TOP = """Traceback (most recent call last):
  File "/srv/nightshift/jobs/worker/executor.py", line 118, in _body
    return task.run(*args, **kwargs)
           ^^^^^^^^^^^^^^^^^^^^^^^^^
"""

_MAIL = """  File "/srv/nightshift/mail/tasks.py", line 28, in send
    return _send(self.request.id or str(uuid4()), kind, details)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/srv/nightshift/mail/client.py", line 74, in deliver
    connection.send_message(message, sender, [recipient])
"""

_STORES = """  File "/srv/nightshift/storage/tasks.py", line 61, in delete
    deletion.delete(store(store_name), keys)
  File "/srv/nightshift/storage/deletion.py", line 33, in delete
    answer = store.client.delete_objects(Bucket=store.bucket, Delete=_named(batch))
             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
"""

_BILLING = """  File "/srv/nightshift/billing/integrations/stripe/webhooks.py", line 212, in reconcile
    invoice = Invoice.model_validate_json(event.body)
              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
"""

_DEEP = """  File "/srv/venv/lib/python3.11/site-packages/deep/inside/retrying_transport.py", line {line}, in call
    return self._next.call(request, timeout=self._timeout, headers={{**self._headers, "x-depth": str(depth)}})
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
"""

_BOTTOM = """  File "/usr/local/lib/python3.11/smtplib.py", line 986, in send_message
    return self.sendmail(from_addr, to_addrs, flatmsg, mail_options,
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/usr/local/lib/python3.11/smtplib.py", line 892, in sendmail
    raise SMTPRecipientsRefused(senderrs)
"""


def traceback(error: str, *, deep: bool) -> str:
    """Return how Python would have told of an error; `deep`: from far down. A lost worker could not tell."""
    if error.startswith("WorkerLost"):
        return ""
    middle = "".join(_DEEP.format(line=100 + number) for number in range(90)) if deep else ""
    if error.startswith(("Connect", "Storage")):
        return _TOP + _STORES + middle + error
    if error.startswith(("Validation", "RateLimit")):
        return _TOP + _BILLING + middle + error
    return _TOP + _MAIL + middle + _BOTTOM + error
