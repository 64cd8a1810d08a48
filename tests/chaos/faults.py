"""Faults of every kind, drawn from a seed. Each says what it did in a few words."""

import base64
import json
import os
import random
import signal
import time
from collections.abc import Callable
from typing import Protocol

import psutil
import redis

from tests.acceptance.worker import Worker
from tests.chaos.proxy import Proxy
from tests.databases import Database
from tests.environment import environment


class Target(Protocol):
    """What faults need of the system they strike: ours, or plain Celery's."""

    broker_url: str
    proxies: dict[str, Proxy]

    @property
    def database(self) -> Database | None:
        """The database, where it is one that faults may strike."""

    def any_worker(self, rng: random.Random) -> Worker | None:
        """Return one of the workers that run."""


Fault = Callable[[Target, random.Random], str]


def stop_worker(site: Target, rng: random.Random) -> str:
    """TERM, as a deploy does."""
    return _signal(site, rng, signal.SIGTERM)


def quit_worker(site: Target, rng: random.Random) -> str:
    """QUIT: a cold shutdown."""
    return _signal(site, rng, signal.SIGQUIT)


def kill_worker(site: Target, rng: random.Random) -> str:
    """KILL all processes of a worker at once, as a machine that is gone."""
    worker = site.any_worker(rng)
    if worker is None:
        return ""
    worker.kill()
    return f"KILL to all of {worker.name}"


def kill_parent(site: Target, rng: random.Random) -> str:
    """KILL a worker's main process and leave its children."""
    worker = site.any_worker(rng)
    if worker is None:
        return ""
    worker.kill_main()
    return f"KILL to the main process of {worker.name}"


def kill_child(site: Target, rng: random.Random) -> str:
    """KILL one process of a pool, as the kernel does when memory runs out."""
    worker = site.any_worker(rng)
    children = worker.children() if worker else []
    if worker is None or not children:
        return ""
    try:
        psutil.Process(rng.choice(children)).kill()
    except psutil.NoSuchProcess:
        return ""
    return f"KILL to a child of {worker.name}"


def cut_connections(site: Target, rng: random.Random) -> str:
    """Cut every connection to the database or to the broker."""
    name = rng.choice(sorted(site.proxies))
    return f"cut {site.proxies[name].cut()} connections to the {name}"


def hold_half_open(site: Target, rng: random.Random) -> str:
    """Let a network drop everything for a while, then cut it."""
    name, seconds = rng.choice(sorted(site.proxies)), rng.uniform(0.5, 4)
    site.proxies[name].fall_silent()
    time.sleep(seconds)
    site.proxies[name].speak()
    return f"{name} silent for {seconds:.1f} s"


def restart_broker(site: Target, rng: random.Random) -> str:
    """Kill the broker and start it again, empty, after a while."""
    environment.valkey.kill()
    time.sleep(rng.uniform(0, 2))
    environment.valkey.start()
    return "broker killed and started again, wiped"


def wipe_broker(site: Target, rng: random.Random) -> str:
    """Make the broker forget everything while it runs."""
    environment.valkey.flush()
    return "broker wiped"


def restart_database(site: Target, rng: random.Random) -> str:
    """Kill the database and start it again after a while: it recovers what was committed."""
    environment.postgres.kill()
    time.sleep(rng.uniform(0, 2))
    environment.postgres.start()
    return "database killed and started again"


def repeat_messages(site: Target, rng: random.Random) -> str:
    """Deliver messages that wait a second and a third time."""
    client, count = environment.valkey.client, 0
    for queue in ("chaos", "chaos.failing"):
        for key in client.keys(f"{queue}*"):
            if client.type(key) == b"list" and b".dead" not in key:
                for message in client.lrange(key, 0, 20):
                    client.lpush(key, message, message)
                    count += 2
    return f"{count} messages repeated" if count else ""


GARBAGE = (
    b"garbage",
    b"[1, 2]",
    json.dumps({"body": "e30=", "headers": {}}).encode(),
    json.dumps(
        {
            "body": base64.b64encode(b"{not json").decode(),
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "headers": {"task": "tests.chaos.tasks.work", "id": "00000000-0000-4000-8000-000000000000"},
            "properties": {
                "body_encoding": "base64",
                "delivery_tag": "x",
                "delivery_info": {"exchange": "", "routing_key": "chaos"},
            },
        }
    ).encode(),
)


def inject_garbage(site: Target, rng: random.Random) -> str:
    """Put what nobody can read into a queue."""
    environment.valkey.client.lpush("chaos", *rng.sample(GARBAGE, 2))
    return "garbage injected"


#: Each fault and how often it comes, by what it needs.
ANYWHERE: dict[Fault, int] = {stop_worker: 3, quit_worker: 1, kill_worker: 4, kill_parent: 2, kill_child: 5}
WITH_PROXY: dict[Fault, int] = {cut_connections: 3, hold_half_open: 2}
WITH_VALKEY: dict[Fault, int] = {restart_broker: 1, wipe_broker: 1, repeat_messages: 2, inject_garbage: 2}
WITH_POSTGRES: dict[Fault, int] = {restart_database: 1}


def draw(site: Target, rng: random.Random) -> Fault:
    """Draw the next fault for this site."""
    there = dict(ANYWHERE)
    if site.proxies:
        there |= WITH_PROXY
    if site.broker_url.startswith("redis"):
        there |= WITH_VALKEY
    if site.database and site.database.vendor == "postgres":
        there |= WITH_POSTGRES
    return rng.choices(list(there), weights=list(there.values()))[0]


def strike(fault: Fault, site: Target, rng: random.Random) -> str:
    """Let a fault happen. A server that is down already is no reason to stop."""
    try:
        return fault(site, rng)
    except (redis.RedisError, psutil.Error, OSError):
        return ""


def _signal(site: Target, rng: random.Random, number: signal.Signals) -> str:
    worker = site.any_worker(rng)
    if worker is None:
        return ""
    os.kill(worker.pid, number)
    return f"{number.name.removeprefix('SIG')} to {worker.name}"
