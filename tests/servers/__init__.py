"""Real servers, started by the tests from wheels on free ports in directories of their own."""

from tests.servers.base import Server, ServerError
from tests.servers.ports import free_port
from tests.servers.postgres import Postgres
from tests.servers.seaweedfs import SeaweedFS
from tests.servers.ses import SesServer
from tests.servers.smtp import ReceivedMail, SmtpServer
from tests.servers.telegram import TelegramServer
from tests.servers.valkey import Valkey
from tests.servers.webhook import Received, WebhookServer

__all__ = [
    "Postgres",
    "Received",
    "ReceivedMail",
    "SeaweedFS",
    "Server",
    "ServerError",
    "SesServer",
    "SmtpServer",
    "TelegramServer",
    "Valkey",
    "WebhookServer",
    "free_port",
]
