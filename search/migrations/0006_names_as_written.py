"""Models are named as people write them. No table changes."""

from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [("search", "0005_search_by_terms")]

    operations = [
        migrations.AlterModelOptions("indexalias", {"verbose_name_plural": "index aliases"}),
        migrations.AlterModelOptions("reindex", {"ordering": ["-started_at"], "verbose_name_plural": "reindexes"}),
    ]
