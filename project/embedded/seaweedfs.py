"""The embedded SeaweedFS: the command line that starts its S3 API, the ports it needs, and when it is ready."""

import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: After SIGTERM it waits 15 s for subscribers that are its own servers. What it acknowledged is on disk before
#: that, so it is killed sooner.
STOP_SECONDS = 2.0

PROBE = "readiness-probe"


@dataclass(frozen=True)
class SeaweedPorts:
    """The S3 port people use, and eight more its servers use among themselves."""

    s3: int
    s3_grpc: int
    master: int
    master_grpc: int
    volume: int
    volume_grpc: int
    filer: int
    filer_grpc: int


def command(*, ports: SeaweedPorts, directory: Path) -> list[str]:
    """Return the command line of a one-node SeaweedFS that answers S3 on 127.0.0.1.

    Its only credentials are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of its environment.
    """
    return [
        str(Path(sysconfig.get_path("scripts")) / "weed"),
        "-logtostderr=true",
        "server",
        f"-dir={directory}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        # The build reports usage to its makers unless told otherwise.
        "-master.telemetry=false",
        f"-master.port={ports.master}",
        f"-master.port.grpc={ports.master_grpc}",
        # One node need not wait ten seconds for the votes of others at every start.
        "-master.electionTimeout=1s",
        "-master.heartbeatInterval=200ms",
        "-master.volumeSizeLimitMB=256",
        f"-volume.port={ports.volume}",
        f"-volume.port.grpc={ports.volume_grpc}",
        # Every bucket takes several volumes; the default of 8 is full with the second bucket.
        "-volume.max=100",
        # The default waits ten seconds at every stop for clients of a cluster we do not have.
        "-volume.preStopSeconds=0",
        "-filer=true",
        f"-filer.port={ports.filer}",
        f"-filer.port.grpc={ports.filer_grpc}",
        "-s3=true",
        f"-s3.port={ports.s3}",
        f"-s3.port.grpc={ports.s3_grpc}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ]


def connect(*, port: int, access_key: str, secret_key: str) -> "S3Client":
    """Return a client that asks once and does not wait long."""
    return boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 1}),
    )


def is_ready(client: "S3Client") -> bool:
    """Return whether an object can be written and read: the S3 port answers well before the volumes are there."""
    try:
        ensure_bucket(client, PROBE)
        client.put_object(Bucket=PROBE, Key=PROBE, Body=b"ready")
        return client.get_object(Bucket=PROBE, Key=PROBE)["Body"].read() == b"ready"
    except (BotoCoreError, ClientError):
        return False


def ensure_bucket(client: "S3Client", name: str) -> None:
    """Create a bucket unless it is there."""
    try:
        client.create_bucket(Bucket=name)
    except (client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
        pass
