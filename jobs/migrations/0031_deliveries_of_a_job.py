"""The deliveries that tell of a job are found by it: its page lists them."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("jobs", "0030_turns_without_statistics")]

    operations = [
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(
                condition=models.Q(("of_job__isnull", False)), fields=["of_job"], name="jobs_webhook_of_job"
            ),
        ),
    ]
