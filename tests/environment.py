"""The servers of one test run and the environment under which the project's settings are read.

The ports are chosen before Django loads its settings; the servers start when a test first asks for them.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from tests.servers import Postgres, SeaweedFS, SmtpServer, Valkey

#: Which database the tests with a `db` fixture use: `postgres` (the default) or `sqlite`.
DATABASE = os.environ.get("TEST_DATABASE", "postgres")
if DATABASE not in {"postgres", "sqlite"}:
    raise SystemExit(f"TEST_DATABASE={DATABASE!r} is not valid: it must be postgres or sqlite.")

#: For tasks that encrypt: 32 bytes in base64.
ENCRYPTION_KEY = "dGVzdHMgbmVlZCBhIGtleSBvZiAzMiBieXRlcywgb2g="

#: In CI nothing may be skipped: what a test needs and does not find is a failure.
CI = os.environ.get("CI", "").lower() not in {"", "0", "false", "no", "off"}

#: The folder of migrated databases that other runs copy too (see `tests.templates`); None: this run makes its own.
TEMPLATES = Path(os.environ["TEST_TEMPLATES"]) if os.environ.get("TEST_TEMPLATES") else None

#: The migrated database of the PostgreSQL cluster.
TEMPLATE = "template_nightshift"


class Environment:
    """The servers, not yet started, and the variables that lead the project to them."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="nightshift-tests-"))
        self._owner = os.getpid()
        # Whoever made it removes it, however the run ends; a test's forks leave it alone.
        atexit.register(self.close)
        # PostgreSQL runs as another user where the tests run as root.
        self.directory.chmod(0o755)
        self.postgres = Postgres(self.directory / "postgres", copy_of=TEMPLATES and TEMPLATES / "postgres")
        self.valkey = Valkey(self.directory / "valkey")
        self.seaweedfs = SeaweedFS(self.directory / "seaweedfs")
        self.smtp = SmtpServer(self.directory)

    @property
    def database_url(self) -> str:
        """The database of the tests inside this process; Django puts `test_` before its name."""
        if DATABASE == "sqlite":
            return f"sqlite:///{self.directory / 'nightshift.sqlite3'}"
        return self.postgres.url("nightshift")

    def variables(self) -> dict[str, str]:
        """Return every variable the settings read that matters to a test."""
        return {
            "DEBUG": "true",
            "SECRET_KEY": "a-key-for-tests-only",
            "JOBS_ENCRYPTION_KEYS": ENCRYPTION_KEY,
            "ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
            "VAR_DIR": str(self.directory / "var"),
            "EXTRA_APPS": "tests.tasks_app",
            "PLAYGROUND": "true",
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.valkey.url,
            "BROKER_URL": self.valkey.url,
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.smtp.port),
            "SMTP_USER": "",
            "SMTP_PASSWORD": "",
            "SMTP_TLS": "false",
            "EMAILS_FROM_EMAIL": "nightshift@example.com",
            "EMAILS_FROM_NAME": "Nightshift",
            "FRONTEND_HOST": "http://testserver",
            "SENTRY_DSN": "",
        }

    def close(self) -> None:
        """Stop what runs and remove every trace."""
        if os.getpid() != self._owner:
            return
        self.smtp.stop()
        # Their data goes with the directory, so an orderly stop would be time wasted.
        for server in (self.seaweedfs, self.valkey, self.postgres):
            server.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


environment = Environment()
