"""`manage.py demo`: an administrator, posts and an hour of history for a new development database."""

import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts import services
from accounts.models import User
from mail.tasks import send
from project.demo import history, posts
from project.embedded.environment import DEMO_EMAIL

READERS = ("ada@example.com", "grace@example.com", "linus@example.com")


class Command(BaseCommand):
    """Fills a database once; run again, it changes nothing."""

    help = (
        "Create the demo administrator, a dozen posts with pictures, some sign-ups whose mails are then sent, and an "
        "hour of history: jobs with the correlation id demo-history. Development only."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Create what is missing."""
        if not settings.DEBUG:
            raise CommandError("Demo content is for development: its password is known. Set DEBUG=1 to have it.")
        if User.objects.filter(email=DEMO_EMAIL).exists():
            self.stdout.write("The demo content is there.")
            return
        pictured = self._create(os.environ.get("DEMO_PASSWORD") or "nightshift")
        self.stdout.write(
            f"Created the demo administrator {DEMO_EMAIL}, {len(READERS)} sign-ups, posts, and an hour of history."
        )
        if not pictured:
            self.stdout.write("The posts have no pictures: the content store does not take any.")

    @transaction.atomic
    def _create(self, password: str) -> bool:
        """Create all of it, or nothing. Return whether the posts have pictures."""
        author = User.objects.create_superuser(DEMO_EMAIL, password, name="Demo")
        history.write()
        send.delay(
            kind="custom",
            to=DEMO_EMAIL,
            subject=f"Welcome to {settings.PROJECT_NAME}",
            body="This mail was a row in the ledger, a message in the broker, a job in a worker and an SMTP "
            "conversation before it came here.",
        )
        for email in READERS:
            services.sign_up(email)
        return posts.write(author)
