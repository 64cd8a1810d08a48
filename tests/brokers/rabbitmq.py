"""RabbitMQ, from the system's package: a node of its own, with ports, data, cookie and port mapper of its own."""

import secrets
import socket
import subprocess
from pathlib import Path
from urllib.parse import quote

import amqp

from tests.servers import Server, free_port
from tests.servers.processes import kill_group, spawn
from tests.waiting import wait_for

PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


class RabbitMQ(Server):
    """A single node. Its queues outlive `restart`; `wipe` begins anew."""

    name = "rabbitmq"
    start_seconds = 60.0

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._mapper_port = free_port()
        self._distribution_port = free_port()
        self._mapper: subprocess.Popen[bytes] | None = None
        self._vhosts = 0
        self.vhost = "/"

    @classmethod
    def installed(cls) -> bool:
        """Whether this machine has it."""
        return PROGRAM.exists()

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/{quote(self.vhost, safe='')}"

    def command(self) -> list[str]:
        return [str(PROGRAM)]

    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.directory),
            "RABBITMQ_NODENAME": f"{self.directory.name}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_BASE": str(self.directory),
            "RABBITMQ_MNESIA_BASE": str(self.directory / "data"),
            "RABBITMQ_LOG_BASE": str(self.directory / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(self.directory / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self.directory / "no-such-file"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-start_epmd false +sbwt none +sbwtdcpu none +sbwtdio none",
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def prepare(self) -> None:
        (self.directory / "plugins").write_text("[].\n")
        (self.directory / "rabbitmq.conf").write_text(
            "loopback_users = none\nlog.console.level = warning\ndisk_free_limit.absolute = 50MB\n"
        )
        cookie = self.directory / ".erlang.cookie"
        if not cookie.exists():
            cookie.write_text(secrets.token_hex(16))
            cookie.chmod(0o400)
        if self._mapper is None:
            # Erlang's port mapper would otherwise go on running after us, for the whole machine.
            self._mapper = spawn(
                ["epmd", "-port", str(self._mapper_port), "-address", "127.0.0.1"],
                log=self.directory / "epmd.log",
                directory=self.directory,
            )
            # The node registers with it when it starts.
            wait_for(self._mapper_answers, self.start_seconds, what="epmd to answer")

    def _mapper_answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._mapper_port)) == 0

    def answers(self) -> bool:
        try:
            with self.connect():
                return True
        except (OSError, amqp.AMQPError):
            return False

    def connect(self) -> amqp.Connection:
        """Return an open connection, to be used in a `with` statement."""
        connection = amqp.Connection(
            host=f"127.0.0.1:{self.port}", virtual_host=self.vhost, connect_timeout=5, read_timeout=10
        )
        connection.connect()
        return connection

    def close(self) -> None:
        """Kill it and its port mapper."""
        self.kill()
        if self._mapper is not None:
            kill_group(self._mapper)
            self._mapper = None
