"""A field is named as people write it. No table changes."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("posts", "0004_say_why_an_image_is_refused")]

    operations = [
        migrations.AlterField(
            "post", "html", models.TextField("HTML", blank=True, db_default="", editable=False)
        ),
    ]
