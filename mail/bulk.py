"""One job, many recipients: each gets a mail of its own, at most once, and has an outcome of its own.

What an attempt has sent is written down mail by mail, so that the next one goes on from there, whatever ended it. One
gap remains, between a mail and its row: after a worker was killed there, that one mail goes out again, under the same
`Message-ID`.

A mailing works in slices of some seconds and puts itself off in between: what else waits in the queue gets its turn,
and a worker that is to stop need not wait long.
"""

import hashlib
import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.utils import timezone

from jobs import progress
from mail import addresses, conf, custom, executors, unsubscribing
from mail.errors import InvalidMail, MailError
from mail.messages import Message
from mail.mime import build
from mail.models import Outcome, Recipient
from mail.rendering import render

MAX_RECIPIENTS = 1000
SLICE_SECONDS = 10.0

#: Characters of a reason that are kept.
MAX_REASON = 1000


class Unfinished(Exception):
    """Raised when a slice is over and recipients are left."""


@dataclass(frozen=True, slots=True)
class Mailing:
    """What goes to whom.

    Attributes:
        job_id: the job's; with an address it makes the `Message-ID`.
        retries: the attempts before this one.
        recipients: addresses; one that is there twice gets one mail.
        subject, body, language: as of a custom message (`mail.custom`).
    """

    job_id: uuid.UUID
    retries: int
    recipients: Sequence[str]
    subject: str
    body: str
    language: str


def carry_on(mailing: Mailing, *, seconds: float = SLICE_SECONDS) -> dict[str, str]:
    """Send to those who are left, and return what became of each address.

    Raises:
        Unfinished: the slice is over.
        MailError: retryable where some were put off, or nobody can be reached now; permanent where nobody ever can.
    """
    custom.check_words(mailing.subject, mailing.body)
    if not 0 < len(mailing.recipients) <= MAX_RECIPIENTS:
        raise InvalidMail(f"A mailing has 1 to {MAX_RECIPIENTS} recipients; this one has {len(mailing.recipients)}.")
    return _Slice(mailing, time.monotonic() + seconds).run()


class _Slice:
    def __init__(self, mailing: Mailing, until: float) -> None:
        self._mailing = mailing
        self._until = until
        self._wanted = list(dict.fromkeys(map(_spelt, mailing.recipients)))
        rows = Recipient.objects.filter(job_id=mailing.job_id)
        self._rows = {row.address: row for row in rows}

    def run(self) -> dict[str, str]:
        left = self._left()
        for address in unsubscribing.unsubscribed(left):
            self._settle(address, Outcome.UNSUBSCRIBED)
        deliver = _Deliverer(self._mailing)
        for address in left:
            if self._is_settled(address):
                continue
            if time.monotonic() > self._until:
                raise Unfinished(f"{self._settled()} of {len(self._wanted)} are done")
            self._try(deliver, address)
            progress(self._settled(), len(self._wanted), self._summary())
        return self._result()

    def _left(self) -> list[str]:
        if not self._of(Outcome.SENT, Outcome.UNSUBSCRIBED) and len(self._of(Outcome.REFUSED)) == len(self._wanted):
            # So the job was dead, and somebody replays it: what stood in the way of all may be mended.
            self._rows.clear()
        return [address for address in self._wanted if not self._is_settled(address)]

    def _is_settled(self, address: str) -> bool:
        """Return whether this attempt need not try an address: one that it has put off waits for the next."""
        row = self._rows.get(address)
        return row is not None and (row.outcome != Outcome.PUT_OFF or row.retries == self._mailing.retries)

    def _try(self, deliver: "_Deliverer", address: str) -> None:
        try:
            deliver(address)
        except MailError as exc:
            if not exc.of_recipient:
                raise
            self._settle(address, Outcome.REFUSED if exc.permanent else Outcome.PUT_OFF, str(exc)[:MAX_REASON])
        else:
            self._settle(address, Outcome.SENT)

    def _settle(self, address: str, outcome: Outcome, reason: str = "") -> None:
        row = Recipient(
            job_id=self._mailing.job_id,
            address=address,
            outcome=outcome,
            reason=reason,
            retries=self._mailing.retries,
            at=timezone.now(),
        )
        Recipient.objects.bulk_create(
            [row],
            update_conflicts=True,
            unique_fields=["job_id", "address"],
            update_fields=["outcome", "reason", "retries", "at"],
        )
        self._rows[address] = row

    def _of(self, *outcomes: Outcome) -> list[Recipient]:
        return [row for row in self._rows.values() if row.outcome in outcomes]

    def _settled(self) -> int:
        return len(self._wanted) - sum(not self._is_settled(address) for address in self._wanted)

    def _summary(self) -> str:
        counts = {outcome: len(self._of(outcome)) for outcome in Outcome}
        return ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)

    def _result(self) -> dict[str, str]:
        if waiting := self._of(Outcome.PUT_OFF):
            raise MailError(f"{self._summary()} of {len(self._wanted)}; the first put off: {waiting[0].reason}")
        refused = self._of(Outcome.REFUSED)
        if refused and not self._of(Outcome.SENT, Outcome.UNSUBSCRIBED):
            raise MailError(f"None of {len(self._wanted)} got it; the first: {refused[0].reason}", permanent=True)
        rows = [self._rows[address] for address in self._wanted]
        whole = {row.address: f"{row.outcome}: {row.reason}" if row.reason else str(row.outcome) for row in rows}
        if len(json.dumps(whole)) <= settings.JOBS_MAX_RESULT_BYTES:
            return whole
        # A job whose result is too large to be kept is dead. The reasons stand in the rows as well.
        return {row.address: str(row.outcome) for row in rows}


class _Deliverer:
    """Hands a mailing's mails over, one by one."""

    def __init__(self, mailing: Mailing) -> None:
        self._mailing = mailing
        self._hand_over = executors.configured()
        self._sender = conf.sender()

    def __call__(self, address: str) -> None:
        link = unsubscribing.link(address)
        message = self._message(address, link)
        email = build(
            message,
            render(message),
            sender=self._sender,
            message_id=message_id(self._mailing.job_id, address),
            now=timezone.now(),
            unsubscribe=link,
        )
        self._hand_over(email, sender=self._sender, recipient=message.to)

    def _message(self, address: str, link: str) -> Message:
        try:
            to = addresses.parse(address)
        except InvalidMail as exc:
            raise MailError(str(exc), permanent=True, of_recipient=True) from exc
        return Message(
            to=to,
            subject=self._mailing.subject,
            template="mail/messages/bulk",
            context={"body": self._mailing.body.strip(), "unsubscribe": link},
            language=self._mailing.language,
        )


def message_id(job_id: uuid.UUID, address: str) -> str:
    """Return the left part of a mail's `Message-ID`: the same for every attempt, another one for each address."""
    return f"{job_id}.{hashlib.sha256(address.encode()).hexdigest()[:32]}"


def _spelt(text: str) -> str:
    """Return an address in its one spelling; what is none stays as it is, and is refused alone."""
    try:
        return addresses.canonical(text)
    except InvalidMail:
        return text.encode("utf-8", "replace").decode().replace("\0", "")[: addresses.MAX_ADDRESS_OCTETS]
