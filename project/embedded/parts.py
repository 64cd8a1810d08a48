"""The parts of the system that `make up` runs, and how each shows that it is ready."""

import http.client
import os
import socket
import sys
import urllib.error
import urllib.request
from functools import partial

import redis

from project import env
from project.embedded import seaweedfs, valkey
from project.embedded.environment import BUCKETS, Development
from project.embedded.part import Part

#: A worker lets running jobs finish for JOBS_SHUTDOWN_SECONDS (25) and then hands them back.
WORKER_STOP_SECONDS = 40.0
CHECK_SECONDS = 3.0


def servers(development: Development) -> list[Part]:
    """Return the embedded servers; they start first and stop last."""
    parts = []
    if development.valkey:
        parts.append(_valkey(development, development.valkey.number))
    if development.storage:
        parts.append(_seaweedfs(development))
    if development.mailcatcher:
        parts.append(_mailcatcher(development.mailcatcher.number))
    return parts


def _valkey(development: Development, port: int) -> Part:
    directory = development.var / "valkey"
    directory.mkdir(exist_ok=True)
    return Part(
        "valkey",
        valkey.command(port=port, directory=directory, persist=True),
        foreign=True,
        ready=partial(_answers_ping, redis.Redis(port=port, socket_timeout=CHECK_SECONDS)),
        quiet=True,
    )


def _answers_ping(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def _seaweedfs(development: Development) -> Part:
    directory = development.var / "seaweedfs"
    directory.mkdir(exist_ok=True)
    access_key, secret_key = os.environ["STORAGE_ACCESS_KEY"], os.environ["STORAGE_SECRET_KEY"]
    ports = development.seaweed_ports()
    client = seaweedfs.connect(port=ports.s3, access_key=access_key, secret_key=secret_key)

    def ready() -> bool:
        if not seaweedfs.is_ready(client):
            return False
        for bucket in BUCKETS:
            seaweedfs.ensure_bucket(client, bucket)
        return True

    return Part(
        "seaweedfs",
        seaweedfs.command(ports=ports, directory=directory),
        foreign=True,
        environment={"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key},
        ready=ready,
        stop_seconds=seaweedfs.STOP_SECONDS,
        quiet=True,
    )


def _mailcatcher(port: int) -> Part:
    command = [sys.executable, "manage.py", "mailcatcher", "--host", "127.0.0.1", "--port", str(port)]
    return Part("mailcatcher", command, ready=partial(_listens, port))


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=CHECK_SECONDS).close()
    except OSError:
        return False
    return True


def migration() -> Part:
    """Return the command that brings the database up to date; it needs no server of ours."""
    return Part("migrate", [sys.executable, "manage.py", "migrate", "--verbosity", "0"])


def demo() -> Part:
    """Return the command that fills a new database; it needs the content store."""
    return Part("demo", [sys.executable, "manage.py", "demo"])


def site(development: Development) -> list[Part]:
    """Return what is ours: web, workers, Beat and Flower."""
    celery = [sys.executable, "-m", "celery", "--app", "project"]
    return [
        _web(development),
        *_workers(development, [*celery, "worker", "--loglevel", "INFO", "--task-events"]),
        Part("beat", [*celery, "beat", "--loglevel", "INFO"], ready_words="beat: Starting", reloads=True),
        _flower(development, celery),
    ]


def _workers(development: Development, command: list[str]) -> list[Part]:
    """Return a worker for BROKER_URL, and one for each broker besides: a worker consumes queues of one."""
    brokers = env.broker_urls("JOBS_BROKERS")
    queues_of: dict[str, list[str]] = {}
    for queue, url in brokers.items():
        queues_of.setdefault(url, []).append(queue)
    named = {"worker": ["--exclude-queues", ",".join(brokers)] if brokers else []}
    named |= {f"worker-{queues[0]}": ["--queues", ",".join(queues)] for queues in queues_of.values()}
    return [
        Part(
            name,
            [*command, "--hostname", f"{name}@%h", "--concurrency", str(development.concurrency), *queues],
            ready_words=" ready.",
            stop_seconds=WORKER_STOP_SECONDS,
            reloads=True,
        )
        for name, queues in named.items()
    ]


def _web(development: Development) -> Part:
    port = str(development.web.number)
    command = [sys.executable, "-m", "project.web"]
    return Part(
        "web",
        # Live pages keep connections open; they need not hold up a stop.
        [*command, "--host", development.host, "--port", port, "--graceful-seconds", "3"],
        ready=partial(_answers_http, f"http://127.0.0.1:{port}/readyz", accept=(200,)),
        reloads=True,
    )


def _flower(development: Development, celery: list[str]) -> Part:
    port = str(development.flower.number)
    return Part(
        "flower",
        # It finds its users in FLOWER_BASIC_AUTH: arguments are seen by everybody on the machine.
        [*celery, "flower", f"--address={development.host}", f"--port={port}"],
        ready=partial(_answers_http, f"http://127.0.0.1:{port}/", accept=(200, 302, 401)),
        quiet=True,
    )


def _answers_http(url: str, *, accept: tuple[int, ...]) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=CHECK_SECONDS) as response:  # noqa: S310  The URL is ours.
            return response.status in accept
    except urllib.error.HTTPError as exc:
        exc.close()
        return exc.code in accept
    except (OSError, http.client.HTTPException):
        return False
