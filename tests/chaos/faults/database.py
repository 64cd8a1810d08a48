"""Faults of PostgreSQL: it dies, alone or with the broker; others hold rows; its role gets time-outs."""

import random
import time

import psycopg
from psycopg import sql

from tests.chaos.faults.target import Target
from tests.environment import environment

#: Longer than a lease (`tests.chaos.site`), in seconds.
HELD_SECONDS = 7.5

#: Settings that a site's operators give the role of the application, and between which values, in milliseconds.
TIMEOUTS = {
    "lock_timeout": (20, 500),
    "statement_timeout": (300, 2_000),
    "idle_in_transaction_session_timeout": (50, 500),
}


def restart_database(site: Target, rng: random.Random) -> str:
    """Kill the database and start it again after a while: it recovers what was committed."""
    environment.postgres.kill()
    time.sleep(rng.uniform(0, 2))
    environment.postgres.start()
    return "database killed and started again"


def take_both_away(site: Target, rng: random.Random) -> str:
    """Kill broker and database together, and start them again one after the other, in either order."""
    servers = [environment.valkey, environment.postgres]
    for server in servers:
        server.kill()
    away = rng.uniform(1, 8)
    time.sleep(away)
    rng.shuffle(servers)
    servers[0].start()
    time.sleep(rng.uniform(0, 3))
    servers[1].start()
    return f"both servers away for {away:.1f} s, {servers[0].name} first to return"


def hold_rows(site: Target, rng: random.Random) -> str:
    """Hold the rows of jobs that run or wait, for longer than a lease, as somebody's forgotten transaction does."""
    assert site.database is not None
    other = psycopg.connect(site.database.url, connect_timeout=5)
    held = other.execute(
        "SELECT state FROM jobs_job WHERE queue LIKE 'chaos%%' AND state IN ('running', 'queued', 'retrying')"
        " ORDER BY state = 'running' DESC, id LIMIT %s FOR UPDATE SKIP LOCKED",
        [rng.choice((1, 1, 3, 20))],
    ).fetchall()
    if not held:
        other.close()
        return ""
    site.later.after(HELD_SECONDS, other.close)
    running = sum(state == "running" for (state,) in held)
    return f"{len(held)} rows held for {HELD_SECONDS:g} s, {running} of jobs that run"


def give_role_a_timeout(site: Target, rng: random.Random) -> str:
    """Set a time-out on the role of the processes, for a while; every other time, have all of them connect anew."""
    assert site.database is not None
    name, seconds = rng.choice(sorted(TIMEOUTS)), rng.uniform(3, 8)
    milliseconds = rng.randint(*TIMEOUTS[name])
    role = sql.SQL("ALTER ROLE postgres IN DATABASE {} ").format(sql.Identifier(site.database.name))
    environment.postgres.execute(role + sql.SQL("SET {} = {}").format(sql.Identifier(name), sql.Literal(milliseconds)))
    reset = role + sql.SQL("RESET {}").format(sql.Identifier(name))
    site.later.after(seconds, lambda: environment.postgres.execute(reset))
    if rng.random() < 0.5:
        site.proxies["database"].cut()
    return f"{name} of {milliseconds} ms on the role for {seconds:.1f} s"
