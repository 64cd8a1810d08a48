"""What has no message is found queue by queue, the oldest first, and never in the index of another order."""

from django.db import migrations, models

from jobs.migrations._concurrently import AddIndex, RemoveIndex


class Migration(migrations.Migration):
    # The new indexes are there before the old ones go: claims need either.
    atomic = False

    dependencies = [("jobs", "0032_names_as_written")]

    operations = [
        AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(("state", "queued")),
                fields=["queue", "dispatched_at", "held_by", "run_at"],
                name="jobs_job_queued_anew",
            ),
        ),
        AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(
                    ("held_by__isnull", True),
                    ("priority__gte", 0),
                    ("state__gte", "queued"),
                    ("state__lte", "queued"),
                ),
                fields=["queue", "-priority", "run_at", "id"],
                name="jobs_job_waiting_anew",
            ),
        ),
        RemoveIndex(model_name="job", name="jobs_job_queued"),
        RemoveIndex(model_name="job", name="jobs_job_waiting"),
        migrations.RenameIndex(model_name="job", old_name="jobs_job_queued_anew", new_name="jobs_job_queued"),
        migrations.RenameIndex(model_name="job", old_name="jobs_job_waiting_anew", new_name="jobs_job_waiting"),
    ]
