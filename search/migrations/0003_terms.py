"""A column for what documents are found by, written by a tokeniser of ours."""

from django.db import migrations

import search.models


class Migration(migrations.Migration):
    dependencies = [("search", "0002_full_text")]
    operations = [
        migrations.AddField("indexeddocument", "terms", search.models.TermsField(null=True)),
    ]
