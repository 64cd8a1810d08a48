"""The embedded SeaweedFS: the command line that starts its S3 API, and the ports it needs."""

import sysconfig
from dataclasses import dataclass
from pathlib import Path


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
