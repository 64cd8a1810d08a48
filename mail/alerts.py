"""Alerts of the job engine as mails."""

import uuid

from jobs import AlertMessage
from mail.custom import MAX_SUBJECT
from mail.tasks import send

#: Makes a mail's job id of the key of its message: one delivered twice is mailed once.
_KEYS = uuid.UUID("5f1c8a5e-6a38-4f0a-9b8f-2b0b7f6a3c11")


def send_alert(address: str, message: AlertMessage) -> None:
    """Have a message mailed to an address, once however often this is called."""
    # The words are of errors, and may hold what no line of a mail can.
    subject = " ".join("".join(sign if sign.isprintable() else " " for sign in message.title).split())
    if len(subject) > MAX_SUBJECT:
        subject = subject[: MAX_SUBJECT - 1] + "…"
    details = {"to": address, "subject": subject, "body": f"{message.title}\n\n{message.url}"}
    send.apply_async(("custom",), details, task_id=str(uuid.uuid5(_KEYS, message.key)))
