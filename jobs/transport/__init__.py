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


#: Our transports by the schemes of their URLs, Valkey's names among them. Kombu imports the one that it connects with:
#: who has no Redis loads none of it.
_TRANSPORTS = {
    LEDGER: "jobs.transport.transport:Transport",
    **dict.fromkeys(("redis", "rediss", "valkey", "valkeys"), "jobs.transport.redis:Transport"),
    **dict.fromkeys(("amqp", "pyamqp"), "jobs.transport.rabbitmq:Transport"),
    "amqps": "jobs.transport.rabbitmq:SSLTransport",
}


def register() -> None:
    """Have Kombu use our transports."""
    TRANSPORT_ALIASES.update(_TRANSPORTS)
