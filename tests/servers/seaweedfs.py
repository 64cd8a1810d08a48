"""SeaweedFS with its S3 API, from the wheel that `make up` runs too."""

from pathlib import Path

from project.embedded import seaweedfs
from tests.servers.base import Server
from tests.servers.ports import free_port


class SeaweedFS(Server):
    """An S3 server with one pair of credentials."""

    name = "seaweedfs"
    stop_seconds = seaweedfs.STOP_SECONDS
    access_key = "test-access-key"
    secret_key = "test-secret-key"  # noqa: S105  The server lives as long as the tests.

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.data = directory / "data"
        self._ports = seaweedfs.SeaweedPorts(self.port, *(free_port() for _ in range(7)))
        self.client = seaweedfs.connect(port=self.port, access_key=self.access_key, secret_key=self.secret_key)

    @property
    def url(self) -> str:
        """The S3 endpoint."""
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        self.data.mkdir(exist_ok=True)

    def command(self) -> list[str]:
        return seaweedfs.command(ports=self._ports, directory=self.data)

    def environment(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}

    def answers(self) -> bool:
        return seaweedfs.is_ready(self.client)

    def create_bucket(self, name: str) -> str:
        """Create a bucket and return its name."""
        self.client.create_bucket(Bucket=name)
        return name

    def flush(self) -> None:
        """Delete every bucket with all it holds."""
        for bucket in self.client.list_buckets()["Buckets"]:
            self.client.delete_bucket(Bucket=bucket["Name"])
