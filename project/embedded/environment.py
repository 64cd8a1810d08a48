"""What `make up` puts into the environment of development, beneath what the user has set there."""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from project import env
from project.embedded.ports import Port, chosen
from project.embedded.seaweedfs import SeaweedPorts

DEMO_EMAIL = "admin@example.com"
BUCKETS = ("nightshift-storage", "nightshift-assets")


@dataclass(frozen=True)
class Development:
    """Where everything listens and which variables lead there.

    A server whose address the user has set is theirs: it is used, and the embedded one is not started.
    """

    given: Mapping[str, str]
    var: Path
    host: str
    web: Port
    flower: Port
    valkey: Port | None
    mailcatcher: Port | None
    storage: list[Port]
    concurrency: int

    @classmethod
    def read(cls, base: Path) -> "Development":
        """Read what the user has chosen. Raises ImproperlyConfigured for a value that cannot be."""
        given = {name: value for name, value in os.environ.items() if value}
        return cls(
            given=given,
            var=Path(given.get("VAR_DIR", base / "var")).resolve(),
            host=env.text("HOST", "127.0.0.1"),
            web=chosen("PORT", 8000, "the site")[0],
            flower=chosen("FLOWER_PORT", 5555, "Flower")[0],
            valkey=None if "REDIS_URL" in given else chosen("VALKEY_PORT", 16379, "Valkey")[0],
            mailcatcher=None if "SMTP_HOST" in given else chosen("MAILCATCHER_PORT", 11025, "the mail catcher")[0],
            storage=[] if "STORAGE_ENDPOINT" in given else chosen("STORAGE_PORT", 18333, "SeaweedFS", count=8),
            concurrency=env.integer("WORKER_CONCURRENCY", min(4, os.cpu_count() or 2), least=1, most=1000),
        )

    def ports(self) -> list[Port]:
        """Return every port something of ours will listen on."""
        single = (self.web, self.flower, self.valkey, self.mailcatcher)
        return [port for port in single if port is not None] + self.storage

    def seaweed_ports(self) -> SeaweedPorts:
        """Return the ports of SeaweedFS by their names."""
        return SeaweedPorts(*(port.number for port in self.storage))

    def variables(self) -> dict[str, str]:
        """Return what the user has not set and development needs."""
        made = self._secrets()
        variables = {
            "DEBUG": "true",
            "PLAYGROUND": "true",
            "SECRET_KEY": made["SECRET_KEY"],
            "VAR_DIR": str(self.var),
            "DATABASE_URL": f"sqlite:///{self.var / 'nightshift.sqlite3'}",
            "FRONTEND_HOST": f"http://localhost:{self.web.number}",
            "FLOWER_URL": f"http://localhost:{self.flower.number}/",
            "FLOWER_BASIC_AUTH": "admin:nightshift",
            "DEMO_PASSWORD": "nightshift",
            "PYTHONUNBUFFERED": "1",
        }
        if self.valkey:
            variables["REDIS_URL"] = f"redis://127.0.0.1:{self.valkey.number}/0"
        if self.mailcatcher:
            variables |= {
                "SMTP_HOST": "127.0.0.1",
                "SMTP_PORT": str(self.mailcatcher.number),
                "SMTP_TLS": "false",
            }
        if self.storage:
            for name, bucket in zip(("STORAGE", "ASSETS"), BUCKETS, strict=True):
                endpoint = f"http://127.0.0.1:{self.storage[0].number}"
                variables |= {
                    f"{name}_ENDPOINT": endpoint,
                    f"{name}_BUCKET": bucket,
                    f"{name}_ACCESS_KEY": made["STORAGE_ACCESS_KEY"],
                    f"{name}_SECRET_KEY": made["STORAGE_SECRET_KEY"],
                }
        return {name: value for name, value in variables.items() if name not in self.given}

    def _secrets(self) -> dict[str, str]:
        """Return the secrets of this data directory, made when it was first used."""
        path = self.var / "secrets.json"
        if not path.exists():
            made = {
                "SECRET_KEY": secrets.token_urlsafe(48),
                "STORAGE_ACCESS_KEY": secrets.token_hex(10),
                "STORAGE_SECRET_KEY": secrets.token_urlsafe(30),
            }
            path.touch(mode=0o600)
            path.write_text(json.dumps(made, indent=2))
        return dict(json.loads(path.read_text()))
