"""What waits for its tenant's turn in the line of a limit, by tenant."""

from django.db import migrations, models

from jobs.migrations._concurrently import AddIndex


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("jobs", "0033_queue_by_queue")]

    operations = [
        AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(
                    ("held_rule__isnull", False), ("state__gte", "queued"), ("state__lt", "r"), ("tenant__isnull", False)
                ),
                fields=["held_rule", "priority", "tenant", "run_at", "id"],
                name="jobs_job_line_turns",
            ),
        ),
    ]
