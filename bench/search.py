"""`python -m bench.search`: indexing posts by batches and one by one; memory of a reindex."""

import argparse
from collections.abc import Mapping

from bench import rows
from bench.servers import Servers, scratch
from bench.site import measured
from bench.ways import Hold, Way, cheaper, drained, table, times, worker


def main() -> None:
    """Measure and print two tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.search", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--documents", type=int, default=10_000, help="enqueued one by one (default: %(default)s)")
    parser.add_argument("--single", type=int, default=1_000, help="of them for the naive way (default: %(default)s)")
    parser.add_argument("--posts", type=int, nargs="*", default=[10_000, 100_000], help="to reindex")
    options = parser.parse_args()
    with scratch() as directory, Servers(directory) as servers:
        variables = {**servers.environment(), "EXTRA_APPS": "bench"}
        _write(servers, 1, options.documents)
        if options.rounds:
            with worker(variables, directory / "worker.log", queues=["indexing"]) as held:
                _indexing(servers, variables, options, held)
        _reindexing(servers, variables, options)


def _indexing(servers: Servers, variables: Mapping[str, str], options: argparse.Namespace, held: Hold) -> None:
    single, batched = Way("one job a document"), Way("`search.index`, batches")
    for _ in range(options.rounds):
        for way, function, count in (
            (single, "one_job_each", options.single),
            (batched, "batched", options.documents),
        ):
            servers.execute("TRUNCATE search_indexeddocument")
            way.add(count, drained(servers, variables, held, "bench.indexings", function, count))
    print(table("indexing", "documents", [single, batched]))
    ratios = f"{times(batched, single)} times as fast, for {cheaper(batched, single)} times less CPU"
    print(f"\nBatches are {ratios} (medians of the rounds).\n")


def _reindexing(servers: Servers, variables: Mapping[str, str], options: argparse.Namespace) -> None:
    print("| reindexing | seconds | documents/s | memory before | peak | outcome |\n|---:|---:|---:|---:|---:|---|")
    present = options.documents
    for posts in sorted(options.posts):
        _write(servers, present + 1, posts)
        present = max(present, posts)
        took = measured("bench.reindexing:reindex_posts", variables)
        print(
            f"| {present:,} | {took.seconds:.1f} | {present / took.seconds:,.0f} | {took.before:.0f} MB"
            f" | {took.peak:.0f} MB | {took.result} |",
            flush=True,
        )


def _write(servers: Servers, first: int, last: int) -> None:
    servers.execute(rows.AUTHOR)
    servers.execute(rows.POSTS.format(first=first, last=last))


if __name__ == "__main__":
    main()
