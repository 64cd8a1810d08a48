"""docker-compose.yml as Compose itself reads it: `docker compose config`, which needs no Docker daemon."""

import os
import shutil
import subprocess
import sys
from typing import Any

import pytest
import yaml
from django.conf import settings

from tests.environment import CI

SECRETS = {
    "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "POSTGRES_PASSWORD": "postgres1",
    "VALKEY_PASSWORD": "valkey2",
    "MEILISEARCH_API_KEY": "meilisearch-key-of-16-signs",
    "STORAGE_ACCESS_KEY": "storage3",
    "STORAGE_SECRET_KEY": "storage-secret-4",
    "FLOWER_BASIC_AUTH": "flower:flower5",
}


@pytest.fixture(scope="module")
def client() -> list[str]:
    """The command that reads the file: Docker's plugin, or Debian's docker-compose."""
    reason = "Compose is not installed here (Debian: apt install docker-compose)."
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) and subprocess.call([*command, "version"], stdout=subprocess.DEVNULL) == 0:
            return command
    if CI:
        pytest.fail(reason)
    pytest.skip(reason)


def config(client: list[str], *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*client, *options, "config"],
        check=False,
        cwd=settings.BASE_DIR,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables},
        capture_output=True,
        text=True,
    )


def resolved(client: list[str], *options: str, **variables: str) -> dict[str, Any]:
    """Return the services with all variables filled in."""
    done = config(client, *options, **SECRETS, **variables)
    assert done.returncode == 0, done.stderr
    services: dict[str, Any] = yaml.safe_load(done.stdout)["services"]
    return services


def test_compose_takes_the_file_with_and_without_rabbitmq(client: list[str]) -> None:
    assert {"web", "release", "beat", "postgres", "valkey"} <= resolved(client).keys()
    assert "rabbitmq" in resolved(client, "--profile", "rabbitmq", RABBITMQ_PASSWORD="rabbit6")


@pytest.mark.parametrize("missing", sorted(SECRETS))
def test_a_secret_that_is_missing_is_asked_for(missing: str, client: list[str]) -> None:
    done = config(client, **{name: value for name, value in SECRETS.items() if name != missing})
    assert done.returncode != 0
    assert missing in done.stderr


def test_the_settings_take_the_environment_that_compose_makes(client: list[str]) -> None:
    environment = {name: str(value) for name, value in resolved(client)["web"]["environment"].items()}
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "ERROR"],
        check=False,
        cwd=settings.BASE_DIR,
        env={"PATH": os.environ["PATH"], "DEBUG": "false", **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
