"""How a DATABASE_URL becomes Django's configuration of a database."""

from typing import Any

import dj_database_url

# IMMEDIATE: a transaction that reads first and writes later would otherwise fail at once with
# "database is locked" instead of waiting. FULL: a committed job survives a power cut.
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
}

# A database that went silent must be noticed well before a lease runs out.
POSTGRES_OPTIONS = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
    # A connection that runs a statement of the ledger for the third time has the server keep its plan.
    "prepare_threshold": 2,
}

# A pooler that gives each transaction another connection, and does not know prepared statements (PgBouncer before 1.21
# in transaction mode): whatever is kept in one session would be looked for in another.
POOLED = {"prepare_threshold": None}


def configuration(url: str, *, prepared: bool = True) -> dict[str, Any]:
    """Return the entry of DATABASES for `url`; options in the URL win over ours.

    Unless `prepared`, nothing is prepared on the server, and no cursor left open on it.
    """
    config: dict[str, Any] = {**dj_database_url.parse(url, conn_max_age=None, conn_health_checks=True)}
    ours = SQLITE_OPTIONS if config["ENGINE"].endswith("sqlite3") else POSTGRES_OPTIONS
    config["OPTIONS"] = {**ours, **config.get("OPTIONS", {})}
    if not prepared and ours is POSTGRES_OPTIONS:
        config["OPTIONS"] |= POOLED
        config["DISABLE_SERVER_SIDE_CURSORS"] = True
    return config
