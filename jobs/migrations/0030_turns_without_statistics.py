"""The index of what waits for its tenant's turn is found by PostgreSQL without statistics, too."""

from django.db import migrations, models

from jobs.migrations._concurrently import AddIndex, RemoveIndex


class Migration(migrations.Migration):
    # The new index is there before the old one goes: claims need either.
    atomic = False

    dependencies = [("jobs", "0029_webhooks")]

    operations = [
        AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(
                    ("held_by__isnull", True), ("state__gte", "queued"), ("state__lt", "r"), ("tenant__isnull", False)
                ),
                fields=["queue", "priority", "tenant", "run_at", "id"],
                name="jobs_job_turns_anew",
            ),
        ),
        RemoveIndex(model_name="job", name="jobs_job_turns"),
        migrations.RenameIndex(model_name="job", old_name="jobs_job_turns_anew", new_name="jobs_job_turns"),
    ]
