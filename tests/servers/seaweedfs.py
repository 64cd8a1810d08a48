"""SeaweedFS with its S3 API, from the wheel that `make up` runs too."""

from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from mypy_boto3_s3 import S3Client

from project.embedded import seaweedfs
from tests.servers.base import Server
from tests.servers.ports import free_port


class SeaweedFS(Server):
    """An S3 server with one pair of credentials."""

    name = "seaweedfs"
    start_seconds = 60.0
    access_key = "test-access-key"
    secret_key = "test-secret-key"  # noqa: S105  The server lives as long as the tests.

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.data = directory / "data"
        self._ports = seaweedfs.SeaweedPorts(self.port, *(free_port() for _ in range(7)))
        self.client: S3Client = boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 1}),
        )

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
        try:
            self.client.list_buckets()
        except (BotoCoreError, ClientError):
            return False
        return True

    def create_bucket(self, name: str) -> str:
        """Create a bucket and return its name."""
        self.client.create_bucket(Bucket=name)
        return name

    def flush(self) -> None:
        """Delete every bucket with all it holds."""
        for bucket in self.client.list_buckets()["Buckets"]:
            self.client.delete_bucket(Bucket=bucket["Name"])
