"""Kombu transports: `ledger://`, which needs no broker, and what the engine needs of brokers beyond what Kombu ships.

redis        Redis and Valkey, made to survive what it cannot read
rabbitmq     RabbitMQ: quorum queues, confirms for many messages together
lanes        priority for quorum queues
transport    `ledger://`: one connection, driven by the worker's event loop or by whoever drains it
channel      publishing, consuming, settling
desk         what waits in the database for a connection's consumers, and when to look
delivery     rows as Kombu's envelopes
listening    short-lived queues: remote control and events
envelopes    what brokers keep of a message, read with care
messages     the table of all that is no job
database     the connections; PostgreSQL's notifications, SQLite's change counter
"""

from kombu.transport import TRANSPORT_ALIASES

#: The scheme of `BROKER_URL=ledger://`, and Kombu's name for the kind of transport.
LEDGER = "ledger"


def register() -> None:
    """Make `ledger://` known to Kombu."""
    TRANSPORT_ALIASES[LEDGER] = "jobs.transport.transport:Transport"
