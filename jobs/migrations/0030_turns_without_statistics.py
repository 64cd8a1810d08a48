"""The index of what waits for its tenant's turn is found by PostgreSQL without statistics, too."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("jobs", "0029_webhooks")]

    operations = [
        migrations.RemoveIndex(model_name="job", name="jobs_job_turns"),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(
                    ("held_by__isnull", True), ("state__gte", "queued"), ("state__lt", "r"), ("tenant__isnull", False)
                ),
                fields=["queue", "priority", "tenant", "run_at", "id"],
                name="jobs_job_turns",
            ),
        ),
    ]
