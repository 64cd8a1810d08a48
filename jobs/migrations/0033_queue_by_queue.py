"""What has no message is found queue by queue, the oldest first, and never in the index of another order."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("jobs", "0032_names_as_written")]

    operations = [
        migrations.RemoveIndex(model_name="job", name="jobs_job_queued"),
        migrations.RemoveIndex(model_name="job", name="jobs_job_waiting"),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(("state", "queued")),
                fields=["queue", "dispatched_at", "held_by", "run_at"],
                name="jobs_job_queued",
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(
                    ("held_by__isnull", True),
                    ("priority__gte", 0),
                    ("state__gte", "queued"),
                    ("state__lte", "queued"),
                ),
                fields=["queue", "-priority", "run_at", "id"],
                name="jobs_job_waiting",
            ),
        ),
    ]
