"""docker-compose.yml and Dockerfile, as far as they can be read without Docker."""

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobs.conf import conf
from tests.servers import Valkey

TEXT = (settings.BASE_DIR / "docker-compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
OURS = [name for name, service in SERVICES.items() if service["image"] == "nightshift"]
DOCKERFILE = (settings.BASE_DIR / "Dockerfile").read_text()
PROCFILE = dict(line.split(": ", 1) for line in (settings.BASE_DIR / "Procfile").read_text().splitlines())

#: These end when their work is done.
ONCE = {"release", "buckets"}


def test_the_production_set_is_there() -> None:
    parts = {"postgres", "valkey", "rabbitmq", "meilisearch", "seaweedfs", "mailpit"}
    assert set(SERVICES) == {*PROCFILE, *parts, "buckets"}
    assert SERVICES["rabbitmq"]["profiles"] == ["rabbitmq"]
    assert [name for name in SERVICES if "profiles" in SERVICES[name]] == ["rabbitmq"]


@pytest.mark.parametrize("name", OURS)
def test_our_processes_run_from_one_image_a_command_that_exists(name: str) -> None:
    service = SERVICES[name]
    assert service["build"] == "."
    assert shutil.which(service["command"][0], path=str(Path(sys.executable).parent))
    if name in PROCFILE and name != "flower":
        # The same program with the same arguments, but for what a platform's shell fills in.
        written = [word for word in PROCFILE[name].split() if "$" not in word]
        assert [word for word in written if word not in service["command"]] == []


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONCE))
def test_every_service_has_a_health_check(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] in {"CMD", "CMD-SHELL"}
    assert {"interval", "timeout", "retries"} <= set(check)


def seconds(duration: str) -> int:
    return int(duration.removesuffix("s"))


def test_docker_waits_longer_for_the_end_of_a_process_than_the_process_takes() -> None:
    web = SERVICES["web"]
    graceful = int(web["command"][web["command"].index("--graceful-seconds") + 1])
    assert seconds(web["stop_grace_period"]) > graceful
    workers = [service for name, service in SERVICES.items() if name.startswith("worker_")]
    assert all(seconds(service["stop_grace_period"]) > conf().shutdown_seconds for service in workers)


@pytest.mark.parametrize("name", OURS)
def test_our_processes_can_gain_no_rights(name: str) -> None:
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_what_a_service_waits_for_can_come(name: str) -> None:
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        condition = "service_completed_successfully" if needed in ONCE else "service_healthy"
        assert how == {"condition": condition}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_secret_is_written_down(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        if re.search(r"(KEY|KEY_ID|PASSWORD|PASS|SECRET|AUTH|TOKEN)$", variable):
            assert re.fullmatch(r"\$\{[A-Z_]+(:\?[^}]+|:-(\$\{[A-Z_]+\})?)\}", str(value)), variable


@pytest.mark.parametrize("variable", ["METRICS_TOKEN", "SECRET_KEY", "SENTRY_DSN", "SMTP_PASSWORD"])
def test_a_secret_that_is_set_beside_it_reaches_our_processes(variable: str) -> None:
    assert all(variable in SERVICES[name]["environment"] for name in OURS)


def networks(name: str) -> set[str]:
    return set(SERVICES[name]["networks"])


def test_no_server_reaches_another() -> None:
    servers = [name for name in SERVICES if name not in OURS]
    # Only one of the brokers runs.
    neighbours = {
        (one, other) for one in servers for other in servers if one < other and networks(one) & networks(other)
    }
    assert neighbours == {("rabbitmq", "valkey")}
    assert all(networks(server) <= networks(name) for server in servers for name in OURS)


def test_a_server_that_shows_no_page_has_no_way_out() -> None:
    open_ones = {
        name for name, network in yaml.safe_load(TEXT)["networks"].items() if not (network or {}).get("internal")
    }
    assert {name for name in SERVICES if name not in OURS and networks(name) & open_ones} == {"mailpit"}


def test_valkey_asks_for_a_password() -> None:
    valkey = SERVICES["valkey"]
    assert valkey["command"][valkey["command"].index("--requirepass") + 1] == "${VALKEY_PASSWORD:?must be set}"
    for variable in ("REDIS_URL", "BROKER_URL"):
        assert "redis://:${VALKEY_PASSWORD" in SERVICES["web"]["environment"][variable]


class ComposedValkey(Valkey):
    """Valkey as docker-compose.yml starts it, on a port of the test's own."""

    def command(self) -> list[str]:
        _, *arguments = [word.replace("${VALKEY_PASSWORD:?must be set}", "s3cret") for word in COMMAND]
        program, *_ = super().command()
        return [program, *arguments, "--port", str(self.port), "--dir", str(self.directory)]

    def answers(self) -> bool:
        try:
            return bool(redis.Redis(port=self.port, password="s3cret", retry=Retry(NoBackoff(), 0)).ping())
        except redis.RedisError:
            return False


COMMAND: list[str] = SERVICES["valkey"]["command"]


def test_valkey_lets_in_who_has_its_password_and_nobody_else(tmp_path: Path) -> None:
    with ComposedValkey(tmp_path) as valkey:
        url = SERVICES["web"]["environment"]["REDIS_URL"].replace("${VALKEY_PASSWORD:?must be set}", "s3cret")
        assert redis.Redis.from_url(url.replace("valkey:6379", f"127.0.0.1:{valkey.port}")).ping()
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=valkey.port).ping()


def test_volumes_are_declared() -> None:
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert used == set(yaml.safe_load(TEXT)["volumes"])


def test_the_image_is_built_in_stages_and_does_not_run_as_root() -> None:
    assert len(re.findall(r"^FROM ", DOCKERFILE, re.MULTILINE)) == 2
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER [1-9]\d*$", last, re.MULTILINE)
    assert last.index("USER ") < last.index("CMD ")


def test_the_image_leaves_out_what_is_ours_alone() -> None:
    ignored = (settings.BASE_DIR / ".dockerignore").read_text().split()
    assert {".*", "var", "tests"} <= set(ignored)
