"""`manage.py demo`: an administrator and a little content for a new development database."""

import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts import services
from accounts.models import User
from mail.tasks import send
from project.embedded.environment import DEMO_EMAIL

READERS = ("ada@example.com", "grace@example.com", "linus@example.com")


class Command(BaseCommand):
    """Fills a database once; run again, it changes nothing."""

    help = "Create the demo administrator, and some sign-ups whose mails are then sent. Development only."

    def handle(self, *args: Any, **options: Any) -> None:
        """Create what is missing."""
        if not settings.DEBUG:
            raise CommandError("Demo content is for development: its password is known. Set DEBUG=1 to have it.")
        if User.objects.filter(email=DEMO_EMAIL).exists():
            self.stdout.write("The demo content is there.")
            return
        self._create(os.environ.get("DEMO_PASSWORD") or "nightshift")
        self.stdout.write(f"Created the demo administrator {DEMO_EMAIL} and {len(READERS)} sign-ups.")

    @transaction.atomic
    def _create(self, password: str) -> None:
        User.objects.create_superuser(DEMO_EMAIL, password, name="Demo")
        send.delay(
            kind="custom",
            to=DEMO_EMAIL,
            subject=f"Welcome to {settings.PROJECT_NAME}",
            body="This mail was a row in the ledger, a message in the broker, a job in a worker and an SMTP "
            "conversation before it came here.",
        )
        for email in READERS:
            services.sign_up(email)
