"""What fails in a seeded ledger, in the words in which such things fail."""

SUBJECTS = (
    "Welcome",
    "Confirm your address",
    "Dein Passwort wurde geändert",
    "Your export is ready, all 12 parts of it",
)

ERRORS = (
    "SMTPRecipientsRefused: 550 5.1.1 <reader{n}@example.com>: Recipient address rejected: User unknown",
    "SMTPServerDisconnected: Connection unexpectedly closed",
    "ConnectTimeoutError: Connect timeout on endpoint URL: https://storage.example.com/assets/posts/{n}",
    "MailError: the mail server answered 451 4.3.2 to DATA: please try again later",
    "ValidationError: 1 validation error for Invoice\nlines.{n}.amount\n  Input should be a valid decimal",
    "WorkerLost: The lease ran out: worker worker@web-2 is gone, frozen or out of touch.",
)

_TOP = """Traceback (most recent call last):
  File "/srv/nightshift/jobs/runtime/execute.py", line 118, in _body
    return task.run(*args, **kwargs)
           ^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/srv/nightshift/mail/tasks.py", line 28, in send
    return _send(self.request.id or str(uuid4()), kind, details)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/srv/nightshift/mail/client.py", line 74, in deliver
    connection.send_message(message, sender, [recipient])
"""

_DEEP = """  File "/srv/venv/lib/python3.11/site-packages/deep/inside/retrying_transport.py", line {line}, in call
    return self._next.call(request, timeout=self._timeout, headers={{**self._headers, "x-depth": str(depth)}})
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
"""

_BOTTOM = """  File "/usr/local/lib/python3.11/smtplib.py", line 986, in send_message
    return self.sendmail(from_addr, to_addrs, flatmsg, mail_options,
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/usr/local/lib/python3.11/smtplib.py", line 892, in sendmail
    raise SMTPRecipientsRefused(senderrs)
"""


def traceback(error: str, *, deep: bool) -> str:
    """Return how Python would have told of an error; `deep`: from far down."""
    middle = "".join(_DEEP.format(line=100 + number) for number in range(90)) if deep else ""
    return _TOP + middle + _BOTTOM + "smtplib." + error
