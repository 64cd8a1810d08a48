"""Which names tasks had before: what limits and pauses the present one holds for jobs of the old ones, too."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("jobs", "0027_waiters")]

    operations = [
        migrations.AddField(
            model_name="flowrule",
            name="renamed_to",
            field=models.CharField(max_length=200, null=True),
        ),
        migrations.AddIndex(
            model_name="flowrule",
            index=models.Index(
                condition=models.Q(("renamed_to__isnull", False)), fields=["name"], name="jobs_flow_rule_renamed"
            ),
        ),
    ]
