"""Kombu transports: `ledger://`, which needs no broker, and what the engine needs of brokers beyond what Kombu ships.

redis        Redis and Valkey, made to survive what it cannot read
rabbitmq     RabbitMQ: quorum queues, confirms for many messages together
lanes        priority for quorum queues
remote       Celery's remote control, on RabbitMQ and in the ledger
envelopes    what brokers keep of a message, read with care
eventloop    database calls made while an event loop runs in the thread
ledger/      `ledger://`
"""

from kombu.transport import TRANSPORT_ALIASES

from jobs.ledger.notify import LEDGER

#: Our transports by the schemes of their URLs, Valkey's names among them. Kombu imports the one that it connects with:
#: who has no Redis loads none of it.
_TRANSPORTS = {
    LEDGER: "jobs.brokers.ledger.transport:Transport",
    **dict.fromkeys(("redis", "rediss", "valkey", "valkeys"), "jobs.brokers.redis:Transport"),
    **dict.fromkeys(("amqp", "pyamqp"), "jobs.brokers.rabbitmq:Transport"),
    "amqps": "jobs.brokers.rabbitmq:SSLTransport",
}


def register() -> None:
    """Have Kombu use our transports."""
    TRANSPORT_ALIASES.update(_TRANSPORTS)
