"""Faults of the broker, a Valkey without a disk."""

import random
import time

from tests.chaos.faults.target import Target
from tests.environment import environment
from tests.servers.ports import free_port
from tests.waiting import NotInTime, wait_for

#: How long odd messages are waited for before the next fault, in seconds; who has none free to read them comes later.
READ_SECONDS = 6.0


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


def turn_broker_into_a_replica(site: Target, rng: random.Random) -> str:
    """Let the broker follow a primary that is gone, as in a failover: READONLY; its data stay."""
    seconds = rng.uniform(1, 6)
    environment.valkey.client.replicaof("127.0.0.1", str(free_port()))
    site.later.after(seconds, lambda: environment.valkey.client.replicaof("NO", "ONE"))
    return f"broker a replica for {seconds:.1f} s"


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


def send_odd_messages(site: Target, rng: random.Random) -> str:
    """Put what nobody can read, or what nobody should believe, into the queues, and let it be read."""
    messages = site.odd.draw(rng, 8)
    for message in messages:
        environment.valkey.client.lpush(rng.choice(("chaos", "chaos.failing")), message.item)
        site.odd.sent(message)
    if site.database is not None:
        try:
            wait_for(lambda: not site.odd.unsettled(), READ_SECONDS, what="odd messages to be read")
        except NotInTime:
            pass
    return f"odd messages: {', '.join(message.kind for message in messages)}"
