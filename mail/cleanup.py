"""What of this app goes once its time is over: who got which mailing, when the mailing's job is gone."""

from django.db.models import Exists, OuterRef

from jobs import register_cleaner
from jobs.models import Job
from mail.models import Recipient


def register() -> None:
    """Have these cleaned. Called once, at start."""
    register_cleaner("recipients of mailings", delete_recipients)


def delete_recipients(limit: int) -> int:
    """Delete recipients whose job was pruned: while it is there, a replay must know who has got its mail."""
    over = Recipient.objects.exclude(Exists(Job.objects.filter(pk=OuterRef("job_id"))))
    found = list(over.order_by("pk").values_list("pk", flat=True)[:limit])
    return Recipient.objects.filter(pk__in=found).delete()[0]
