"""Models and fields are named as people write them: API tokens, deliveries, a URL. No table changes."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("jobs", "0031_deliveries_of_a_job")]

    operations = [
        migrations.AlterModelOptions("alertwatch", {"verbose_name_plural": "alert watches"}),
        migrations.AlterModelOptions("apitoken", {"ordering": ["name"], "verbose_name": "API token"}),
        migrations.AlterModelOptions("tally", {"verbose_name_plural": "tallies"}),
        migrations.AlterModelOptions("webhookdelivery", {"verbose_name_plural": "webhook deliveries"}),
        migrations.AlterField("webhook", "url", models.CharField("URL", max_length=1000)),
    ]
