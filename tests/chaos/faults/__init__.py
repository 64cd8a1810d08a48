"""Faults of every kind, drawn from a seed. Each says what it did in a few words."""

import random

import psutil
import psycopg
import redis

from tests.chaos.faults.broker import (
    repeat_messages,
    restart_broker,
    send_odd_messages,
    turn_broker_into_a_replica,
    wipe_broker,
)
from tests.chaos.faults.database import give_role_a_timeout, hold_rows, restart_database, take_both_away
from tests.chaos.faults.dependency import take_dependency_away
from tests.chaos.faults.network import cut_connections, hold_half_open
from tests.chaos.faults.processes import (
    kill_child,
    kill_parent,
    kill_worker,
    quit_worker,
    run_older_code,
    stop_worker,
)
from tests.chaos.faults.target import Fault, Target

#: Each fault and how often it comes, by what it needs.
ANYWHERE: dict[Fault, int] = {stop_worker: 3, quit_worker: 1, kill_worker: 4, kill_parent: 2, kill_child: 5}
WITH_PROXY: dict[Fault, int] = {cut_connections: 3, hold_half_open: 2}
WITH_VALKEY: dict[Fault, int] = {
    restart_broker: 1,
    wipe_broker: 1,
    turn_broker_into_a_replica: 2,
    repeat_messages: 2,
    send_odd_messages: 5,
}
WITH_POSTGRES: dict[Fault, int] = {restart_database: 1, hold_rows: 3, give_role_a_timeout: 3}
WITH_BOTH: dict[Fault, int] = {take_both_away: 1}
WITH_LEDGER: dict[Fault, int] = {run_older_code: 2, take_dependency_away: 3}

#: What takes with it what only the broker or a worker has: messages of others, which no ledger sends again.
FORGETFUL = frozenset({restart_broker, wipe_broker, take_both_away, quit_worker, kill_worker, kill_parent, kill_child})


def draw(site: Target, rng: random.Random) -> Fault:
    """Draw the next fault for this site."""
    there = dict(ANYWHERE)
    with_valkey = site.broker_url.startswith("redis")
    with_postgres = site.database is not None and site.database.vendor == "postgres"
    for holds, more in (
        (bool(site.proxies), WITH_PROXY),
        (with_valkey, WITH_VALKEY),
        (with_postgres, WITH_POSTGRES),
        (with_valkey and with_postgres, WITH_BOTH),
        (site.database is not None, WITH_LEDGER),
    ):
        if holds:
            there |= more
    return rng.choices(list(there), weights=list(there.values()))[0]


def strike(fault: Fault, site: Target, rng: random.Random) -> str:
    """Let a fault happen. A server that is down already is no reason to stop."""
    if fault in FORGETFUL:
        site.odd.risk(fault.__name__)
    try:
        return fault(site, rng)
    except (redis.RedisError, psycopg.Error, psutil.Error, OSError):
        return ""
