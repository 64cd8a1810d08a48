"""Which pages are shown, of a site as `demo` fills it."""

from collections.abc import Iterator
from dataclasses import dataclass

from jobs.core.states import State
from jobs.models import DeadLetter, Job, JobGroup, Webhook
from posts.models import Post


@dataclass(frozen=True)
class Shot:
    """One page.

    Attributes:
        also: how it is shown beside the light theme on a wide screen: `dark`, `phone`, `phone-dark`.
        signed_in: whether the operator sees it, or somebody from outside.
        click: a selector to click first.
    """

    name: str
    path: str
    also: tuple[str, ...] = ()
    signed_in: bool = True
    click: str = ""


def shots() -> Iterator[Shot]:
    """Yield every page that is shown."""
    failed = Job.objects.filter(state=State.DEAD, task="mail.send")[0]
    running = Job.objects.filter(state=State.RUNNING, progress__isnull=False)[0]
    letter = DeadLetter.objects.filter(task="mail.send")[0]
    group = JobGroup.objects.all()[0]
    webhook = Webhook.objects.filter(name="crm")[0]
    post = Post.objects.filter(published_at__isnull=False)[0]
    yield Shot("overview", "/jobs/", ("dark", "phone"))
    yield Shot("overview-week", "/jobs/?span=week")
    yield Shot("jobs", "/jobs/list/?q=state:dead", ("phone", "phone-dark"))
    yield Shot("job", f"/jobs/{failed.pk}/", ("dark", "phone"))
    yield Shot("job-running", f"/jobs/{running.pk}/")
    yield Shot("group", f"/jobs/groups/{group.pk}/")
    yield Shot("new-job", "/jobs/new/?task=mail.send_custom", ("phone",))
    yield Shot("dead-letters", "/jobs/dead/")
    yield Shot("dead-letters-list", "/jobs/dead/list/?task=mail.send")
    yield Shot("dead-letter", f"/jobs/dead/{letter.pk}/")
    yield Shot("queues", "/jobs/queues/", ("phone",))
    yield Shot("queue", "/jobs/queues/email/")
    yield Shot("flow", "/jobs/flow/", ("phone",))
    yield Shot("schedules", "/jobs/schedules/")
    yield Shot("webhooks", "/jobs/webhooks/")
    yield Shot("webhook", f"/jobs/webhooks/{webhook.pk}/")
    yield Shot("workers", "/jobs/workers/")
    yield Shot("history", "/jobs/history/")
    yield Shot("front", "/", signed_in=False)
    yield Shot("posts", "/posts/", signed_in=False)
    yield Shot("post", post.get_absolute_url(), signed_in=False)
    yield Shot("search", "/posts/search/?q=worker", signed_in=False)
    yield Shot("log-in", "/log-in/", signed_in=False)
    yield Shot("sign-up", "/sign-up/", signed_in=False)
    yield Shot("account", "/account/")
    yield Shot("inbox", "/inbox/", click=".mails a")
    yield Shot("admin", "/admin/jobs/job/?state=dead")
