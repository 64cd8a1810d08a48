"""What the benchmarks of the site's work share: the servers with a bucket each, and functions measured in a process."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.servers import ROOT, Servers
from project.embedded.seaweedfs import ensure_bucket
from tests.servers import SeaweedFS


@dataclass(frozen=True, slots=True)
class Measured:
    """What one process took: seconds, and megabytes before and at the peak."""

    seconds: float
    before: float
    peak: float
    result: str


@contextmanager
def site(directory: Path) -> Iterator[tuple[Servers, SeaweedFS, Mapping[str, str]]]:
    """Start the servers and yield them with the environment that leads a process of ours to them."""
    seaweedfs = SeaweedFS(directory / "seaweedfs")
    with Servers(directory) as servers:
        try:
            seaweedfs.start()
            variables = {**servers.environment(), "SMTP_HOST": "localhost", "EMAILS_FROM_EMAIL": "bench@localhost"}
            for name, bucket in (("STORAGE", "content"), ("ASSETS", "assets")):
                ensure_bucket(seaweedfs.client, bucket)
                variables |= {
                    f"{name}_ENDPOINT": seaweedfs.url,
                    f"{name}_BUCKET": bucket,
                    f"{name}_ACCESS_KEY": seaweedfs.access_key,
                    f"{name}_SECRET_KEY": seaweedfs.secret_key,
                }
            yield servers, seaweedfs, variables
        finally:
            # Its data goes with the directory.
            seaweedfs.kill()


def measured(function: str, variables: Mapping[str, str]) -> Measured:
    """Run `module:function` in a process of its own."""
    result = subprocess.run(
        [sys.executable, "-m", "bench.measured", function],
        env={**os.environ, **variables, "DJANGO_SETTINGS_MODULE": "project.settings"},
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return Measured(**json.loads(result.stdout))
