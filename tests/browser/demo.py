"""Content for a site that is to be looked at: people, posts, mails, and a ledger as after some busy days.

No worker runs on such a site, so what is seen stays as it was written.
"""

import uuid
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.utils import timezone

from accounts.models import User
from jobs.core.breaker import BreakerState
from jobs.core.held_by import HeldBy
from jobs.core.limits import Kind
from jobs.core.states import State
from jobs.models import BreakerChange, CircuitBreaker, FlowRule, Job, JobGroup, OperatorAction, Step, WebhookDelivery
from jobs.operations import webhooks
from jobs.webhooks.events import Change, announce
from mail import conf, messages
from mail.inbox.store import Store
from mail.mime import build
from mail.rendering import render
from posts import services
from posts.models import Post
from posts.services import Content
from search import indexing
from search.documents import kind
from tests.jobs.rows import claimed
from tests.seeding import WORKERS, seed

OPERATOR = "ada@example.com"

TEXT = """A worker can be killed while it sends a mail. Then nobody knows whether the mail went out: the server may
have taken it a millisecond before the end.

## Two ways to be wrong

Send it again, and somebody may read it twice. Do not, and somebody may wait for ever. *At least once* is the kinder
mistake, if the second mail can be told from a new one:

- its `Message-ID` is the job's id, so mail programs show it once,
- the job finds its row taken, so no two workers send at the same time,
- and what cannot be known is recorded, not guessed.

> A queue that never loses a message has only moved the question: what did the worker do with it?

| What dies | What then |
|---|---|
| the worker | another one takes the job when its lease has run out |
| the broker | the row is still there, and is sent again |
| the database | the worker keeps the outcome until it is back |

```python
send.delay(kind="verification", user_id=str(user.id))
```
"""

TITLES = (
    "What a queue owes you when a worker dies",
    "Eine Nacht ohne Broker",
    "Retries are a budget, not a wish",
    "Sitemaps for a million posts, one shard at a time",
    "On dead letters, and how to bring them back",
)


def fill(inbox: Path, *, jobs: int) -> None:
    """Fill an empty site; its operator is Ada."""
    seed(jobs)
    now = timezone.now()
    operator = User.objects.create_superuser(OPERATOR, name="Ada Lovelace", email_verified_at=now - timedelta(days=90))
    _relate()
    _run_long(now)
    _fall_behind(now)
    _group(now)
    _write_posts(operator, now)
    _send_mails(Store(inbox), operator, now)
    _act(now)
    _break(now)
    _limit(now)
    _tell(now)
    # What the site itself enqueued while it was filled belongs to nobody's story.
    Job.objects.filter(task="search.index").delete()


def _relate() -> None:
    """Give the newest dead and the running jobs a request and a parent, as they have in real life."""
    dead = list(Job.objects.filter(state=State.DEAD, task="mail.send")[:1])
    for job in dead:
        others = Job.objects.filter(state=State.SUCCEEDED, created_at__lt=job.created_at)[:3]
        for number, other in enumerate(others):
            Job.objects.filter(pk=other.pk).update(
                correlation_id=job.correlation_id, parent_id=job.pk if number == 2 else None
            )
        Job.objects.filter(pk=job.pk).update(parent_id=others[0].pk)


def _run_long(now: datetime) -> None:
    """Let a job be at work for some minutes, and say how far it is."""
    job = claimed(
        *("f" * 32, 3600, WORKERS[0]),
        task="search.reindex",
        queue="indexing",
        kwargs='{"name": "posts"}',
    )
    Job.objects.filter(pk=job.pk).update(
        created_at=now - timedelta(minutes=4, seconds=11),
        run_at=now - timedelta(minutes=4, seconds=11),
        dispatched_at=now - timedelta(minutes=4, seconds=11),
        started_at=now - timedelta(minutes=4, seconds=10),
        changed_at=now - timedelta(minutes=4, seconds=10),
        correlation_id="9f1c2be07a41d3aa",
        progress={"done": 612_000, "total": 1_000_000, "message": "Posts of March"},
    )
    began = now - timedelta(minutes=4, seconds=10)
    for number, (name, seconds, rows) in enumerate((("make index", 4, None), ("fill it", 240, 612_000)), start=1):
        ended = began + timedelta(seconds=seconds)
        Step.objects.create(
            job=job, number=number, name=name, attempt=1, value="posts-2" if rows is None else rows,
            rows_done=rows, is_complete=rows is None, started_at=began, finished_at=ended,
        )  # fmt: skip
        began = ended


def _group(now: datetime) -> None:
    """Let mails belong to one mailing, of which some go on and a few have died."""
    mails = Job.objects.filter(task="mail.send").order_by("-created_at")
    of_each = [mails.filter(state=state)[:most] for state, most in ((State.SUCCEEDED, 180), (State.DEAD, 4))]
    members = [job.pk for jobs in of_each for job in jobs]
    waiting = Job.objects.filter(state__in=[State.QUEUED, State.RUNNING, State.RETRYING]).exclude(
        progress__isnull=False
    )
    members += [job.pk for job in waiting[:60]]
    states = Counter(Job.objects.filter(pk__in=members).values_list("state", flat=True))
    group = JobGroup.objects.create(
        size=len(members),
        succeeded=states[State.SUCCEEDED],
        dead=states[State.DEAD],
        body={"task": "reports.build"},
        callbacks={"on_dead": {"task": "notify.telegram"}},
        created_at=now - timedelta(minutes=6),
    )
    for number, pk in enumerate(members):
        Job.objects.filter(pk=pk).update(group_id=group.pk, group_index=number)


def _fall_behind(now: datetime) -> None:
    """Let the mails of a quarter of an hour have come late, and some not at all yet: a backlog that shrinks."""
    mails = Job.objects.filter(task="mail.send", state=State.SUCCEEDED)
    late = list(mails.filter(created_at__range=(now - timedelta(minutes=24), now - timedelta(minutes=9))))
    for number, job in enumerate(late):
        job.started_at = now - timedelta(seconds=300 * (1 - number / len(late)) + 2)
        job.finished_at = job.changed_at = job.started_at + timedelta(seconds=0.2)
    Job.objects.bulk_update(late, ["started_at", "finished_at", "changed_at"])
    waiting = mails.filter(created_at__range=(now - timedelta(minutes=9), now - timedelta(minutes=5, seconds=20)))
    for job in waiting:
        job.state, job.attempt, job.worker, job.started_at, job.finished_at = State.QUEUED, 0, "", None, None
        job.changed_at = job.created_at
        job.save()


def _write_posts(author: User, now: datetime) -> None:
    others = [User.objects.create_user(f"{name.lower()}@example.com", name=name) for name in ("Grace", "Linus")]
    for number, title in enumerate(reversed(TITLES)):
        post = services.create([author, *others][number % 3], Content(title, TEXT), publish=True)
        Post.objects.filter(pk=post.pk).update(published_at=now - timedelta(days=11 - 2 * number, hours=3))
    services.create(author, Content("A draft about clocks", "They do not agree."))
    indexing.index(kind("post"), [str(pk) for pk in Post.objects.values_list("pk", flat=True)])


def _send_mails(store: Store, reader: User, now: datetime) -> None:
    written = (
        (
            "custom",
            {"to": reader.email, "subject": "Your export is ready, all 12 parts of it", "body": "It waits for a week."},
        ),
        ("security_notice", {"user_id": str(reader.pk), "event": "password_changed"}),
        ("password_reset", {"user_id": str(reader.pk)}),
        ("verification", {"user_id": str(User.objects.create_user("dora@example.com").pk)}),
    )
    for mail_kind, details in written:
        message = messages.write(mail_kind, details)
        email = build(message, render(message), sender=conf.sender(), message_id=str(uuid.uuid4()), now=now)
        store.add(bytes(email))


def _act(now: datetime) -> None:
    done = (
        ("retry", {"task": "mail.send", "states": ["dead"], "created_after": "2026-11-20T00:00:00Z"}, 214, 95),
        ("replay", {"ids": [str(uuid.UUID(int=7))]}, 1, 71),
        ("discard", {"task": "posts.sitemap", "reason": "exhausted"}, 3, 70),
        ("run", {"schedule": "Sitemap"}, 1, 12),
    )
    for action, target, count, minutes in done:
        row = OperatorAction.objects.create(actor="ada@example.com", action=action, target=target, count=count)
        OperatorAction.objects.filter(pk=row.pk).update(at=now - timedelta(minutes=minutes))


def _limit(now: datetime) -> None:
    """Let mails have a limit in whose line some wait, a task be paused, and one tenant weigh more than others."""
    rule = FlowRule.objects.create(kind=Kind.TASK, name="mail.send", rate="50/s", burst=10, concurrency=20)
    FlowRule.objects.create(kind=Kind.QUEUE, name="images", concurrency=4, source="setting")
    FlowRule.objects.create(
        kind=Kind.TASK,
        name="search.reindex",
        concurrency=1,
        source="operator",
        changed_by=OPERATOR,
        paused_at=now - timedelta(minutes=40),
        paused_until=now + timedelta(hours=2),
        paused_by=OPERATOR,
        pause_reason="the new index is copied",
    )
    FlowRule.objects.create(kind=Kind.TENANT, name="acme", weight=3)
    for tenant, of_ten in (("acme", range(6)), ("globex", range(6, 9)), ("initech", range(9, 10))):
        mails = Job.objects.filter(queue="email", state__in=[State.QUEUED, State.RUNNING]).order_by("pk")
        chosen = [pk for place, pk in enumerate(mails.values_list("pk", flat=True)) if place % 10 in of_ten]
        Job.objects.filter(pk__in=chosen).update(tenant=tenant)
    line = Job.objects.filter(task="mail.send", state=State.QUEUED).values("pk")[:12]
    Job.objects.filter(pk__in=list(line.values_list("pk", flat=True))).update(
        held_by=HeldBy.LIMIT, held_rule=rule.pk, held_since=now - timedelta(seconds=9)
    )


def _break(now: datetime) -> None:
    """Let the mail server have been away for some minutes at night."""
    CircuitBreaker.objects.create(name="smtp", openings=1)
    reason = "MailError: The mail server smtp.example.com:587 put off the mail: 421 too many connections"
    for state, hours, words in ((BreakerState.OPEN, 5.2, reason), (BreakerState.CLOSED, 5.05, "")):
        row = BreakerChange.objects.create(breaker="smtp", state=state, reason=words)
        BreakerChange.objects.filter(pk=row.pk).update(at=now - timedelta(hours=hours))


def _tell(now: datetime) -> None:
    """Let two webhooks be told: one has taken most of it, and one is disabled."""
    crm = {
        "name": "crm",
        "url": "https://crm.example.com/hooks/jobs",
        "states": ["dead", "succeeded"],
        "tasks": ["mail.*"],
    }
    webhooks.create(crm, actor=OPERATOR)
    lake = "https://a-long-name-of-a-receiver.data-lake.eu-central.example.com/jobs"
    webhooks.create({"name": "Data lake", "url": lake, "states": ["retrying"], "enabled": False}, actor=OPERATOR)
    told = [
        *Job.objects.filter(task="mail.send", state=State.DEAD)[:6],
        *Job.objects.filter(task="mail.send", state=State.SUCCEEDED)[:60],
    ]
    announce(Change(job.pk, job.task, job.queue, State(job.state)) for job in told)
    refused = "Permanent: crm.example.com answered 410 Gone."
    away = "WebhookError: crm.example.com cannot be reached: timed out."
    for number, delivery in enumerate(WebhookDelivery.objects.order_by("-pk")):
        at = now - timedelta(minutes=number + 1)
        ended: dict[str, Any] = {"state": State.SUCCEEDED, "attempt": 1, "finished_at": at}
        if number % 9 == 3:
            ended |= {"state": State.DEAD, "last_error": refused}
        elif number % 9 == 5:
            ended = {"state": State.RETRYING, "attempt": 4, "last_error": away, "run_at": now + timedelta(seconds=8)}
        Job.objects.filter(pk=delivery.job_id).update(created_at=at, changed_at=at, **ended)
        status = {State.SUCCEEDED: 204, State.DEAD: 410}.get(ended["state"])
        WebhookDelivery.objects.filter(pk=delivery.pk).update(
            status=status, seconds=0.084 + number % 7 / 50 if status else 10.0, tried_at=at
        )
