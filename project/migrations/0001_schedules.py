"""The site's schedules. What an operator has changed stays, and so does what they made themselves."""

from datetime import datetime, timezone

from django.conf import settings
from django.db import migrations

#: name, task, queue, day of the week, hour, what it is for.
SCHEDULES = [
    ("Orphaned objects", "storage.orphans", "storage", "5", "5", "Removes stored objects that nothing refers to."),
    ("Cleanup", "jobs.cleanup", "maintenance", "6", "4", "Removes what is past its time: tokens, sessions, old jobs."),
    ("Sitemap", "posts.sitemap", "maintenance", "0", "3", "Writes the sitemap of all published posts anew."),
]


def create(apps, schema_editor):
    """Create the schedules that are not there."""
    for name, task, queue, day, hour, description in SCHEDULES:
        periodic_task = apps.get_model("django_celery_beat", "PeriodicTask")
        # Where an operator has one for the task already, under whatever name, it is theirs.
        if periodic_task.objects.filter(task=task).exists():
            continue
        crontab = _crontab(apps, minute="0", hour=hour, day_of_week=day, day_of_month="*", month_of_year="*")
        periodic_task.objects.get_or_create(
            name=name,
            defaults={"task": task, "queue": queue, "crontab": crontab, "description": description},
        )
    # A Beat that is running reads them now.
    changes = apps.get_model("django_celery_beat", "PeriodicTasks")
    changes.objects.update_or_create(ident=1, defaults={"last_update": datetime.now(timezone.utc)})


def _crontab(apps, **fields):
    """Return the crontab in the zone of the settings; django-celery-beat allows equal ones."""
    crontab = apps.get_model("django_celery_beat", "CrontabSchedule")
    fields["timezone"] = settings.CRON_TIMEZONE
    return crontab.objects.filter(**fields).first() or crontab.objects.create(**fields)


class Migration(migrations.Migration):
    initial = True
    dependencies = [("django_celery_beat", "0019_alter_periodictasks_options")]
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
