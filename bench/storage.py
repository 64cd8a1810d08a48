"""`python -m bench.storage`: deleting many objects, by jobs and one by one; memory of the sweep for orphans."""

import argparse
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from bench import rows
from bench.servers import Servers, scratch
from bench.site import measured, site
from bench.ways import Hold, Way, cheaper, drained, table, times, took, worker
from tests.servers import SeaweedFS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "content"


def main() -> None:
    """Measure and print two tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.storage", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--blobs", type=int, default=10_000, help="deleted in batches (default: %(default)s)")
    parser.add_argument("--single", type=int, default=1_000, help="deleted one by one (default: %(default)s)")
    parser.add_argument("--objects", type=int, nargs="*", default=[10_000, 100_000], help="in the swept bucket")
    options = parser.parse_args()
    with scratch() as directory, site(directory) as (servers, seaweedfs, variables):
        if options.rounds:
            with worker(variables, directory / "worker.log", queues=["storage"]) as held:
                _deletions(servers, seaweedfs, variables, options, held)
        if options.objects:
            _sweeps(servers, seaweedfs, variables, options.objects)


# Deleting


def _deletions(
    servers: Servers, seaweedfs: SeaweedFS, variables: Mapping[str, str], options: argparse.Namespace, held: Hold
) -> None:
    loop, single, batched = Way("one by one, in a loop"), Way("one by one, a job each"), Way("`delete_all`")
    for _ in range(options.rounds):
        for way, count, function in (
            (loop, options.single, ""),
            (single, options.single, "one_job_each"),
            (batched, options.blobs, "all_at_once"),
        ):
            _fill(seaweedfs, keys(count))
            if function:
                way.add(count, drained(servers, variables, held, "bench.deletions", function, count))
            else:
                way.add(count, took(partial(_loop, seaweedfs.client, count)))
            left = seaweedfs.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
            assert not left, f"{left[0]['Key']} is still there"
    print(table("deleting", "objects", [loop, single, batched]))
    for other, words in ((single, "a job for each object"), (loop, "a loop without any job")):
        ratios = f"{times(batched, other)} times as fast as {words}, for {cheaper(batched, other)} times less CPU"
        print(f"\n`delete_all` is {ratios}.")
    print("\nMedians of the rounds. What remains is the store's own work for each key.\n")


def _loop(client: "S3Client", count: int) -> None:
    for key in keys(count):
        client.delete_object(Bucket=BUCKET, Key=key)


def keys(count: int) -> list[str]:
    """Return keys as posts have them, four to an image."""
    return [f"posts/{number // 40:032x}/{number // 4:032x}/w{number % 4}.webp" for number in range(count)]


def _fill(seaweedfs: SeaweedFS, wanted: Sequence[str]) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=seaweedfs.url,
        region_name="us-east-1",
        aws_access_key_id=seaweedfs.access_key,
        aws_secret_access_key=seaweedfs.secret_key,
        # What is not measured may wait, and may be tried again.
        config=Config(read_timeout=60, retries={"total_max_attempts": 5}),
    )
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: client.put_object(Bucket=BUCKET, Key=key, Body=b"x" * 100), wanted))


# Sweeping


def _sweeps(servers: Servers, seaweedfs: SeaweedFS, variables: Mapping[str, str], sizes: Sequence[int]) -> None:
    print("| sweeping | seconds | objects/s | memory before | peak | outcome |\n|---:|---:|---:|---:|---:|---|")
    present = 0
    for size in sorted(sizes):
        _fill(seaweedfs, [_original(number) for number in range(present, size)])
        _refer(servers, present, size)
        present = size
        took = measured("bench.sweeps:sweep_content", {**variables, "ORPHANS_MIN_AGE_SECONDS": "0"})
        print(
            f"| {size:,} | {took.seconds:.1f} | {size / took.seconds:,.0f} | {took.before:.0f} MB | {took.peak:.0f} MB"
            f" | {took.result} |",
            flush=True,
        )


def _original(number: int) -> str:
    return f"posts/{number // 1000:032x}/{number:032x}/original.jpg"


def _refer(servers: Servers, first: int, last: int) -> None:
    """Let nine of ten objects belong to an image of a post; the others are orphans."""
    servers.execute(rows.AUTHOR)
    servers.execute(rows.NUMBERED_POSTS.format(first=first, last=last - 1))
    servers.execute(rows.NUMBERED_IMAGES.format(first=first, last=last - 1))


if __name__ == "__main__":
    main()
