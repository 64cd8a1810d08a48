#!/usr/bin/env python
"""Django's command line for Nightshift."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        if sys.argv[1:] == ["shell"]:
            # It would open without them, and not say what is wrong; who reads one setting reads all.
            _ = settings.DEBUG
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as exc:
        # Its message says all; the way to it is of no use to whoever set the variable.
        sys.exit(f"{exc}")
