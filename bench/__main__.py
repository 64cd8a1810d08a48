"""`python -m bench`: measure, print progress, write RESULTS.md."""

import argparse
from collections import defaultdict
from pathlib import Path

from bench.report import report
from bench.rounds import Figures, Round
from bench.servers import Servers, scratch
from bench.variants import POOLS, VARIANTS, Pool, Variant

RESULTS = Path(__file__).with_name("RESULTS.md")


def main() -> None:
    """Run the rounds the command line asks for."""
    options = _options()
    pools = [pool for pool in POOLS if pool.name in options.pools]
    variants = [variant for variant in VARIANTS if variant.name in options.only]
    results: defaultdict[tuple[Pool, Variant], list[Figures]] = defaultdict(list)
    with scratch() as directory, Servers(directory) as servers:
        for number in range(options.rounds):
            for pool in pools:
                # Every other round backwards, so that nobody always comes after the same one.
                for variant in variants if number % 2 == 0 else reversed(variants):
                    figures = Round(variant, pool, servers, directory).measure(
                        options.jobs, options.latency_jobs, options.rate
                    )
                    results[pool, variant].append(figures)
                    print(_progress(number + 1, options.rounds, pool, variant, figures), flush=True)
        page = report(results, options, servers.versions())
    if options.output:
        Path(options.output).write_text(page)
    print(page)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds, variants alternating (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=5000, help="jobs in each round (default: %(default)s)")
    parser.add_argument("--latency-jobs", type=int, default=500, help="0: leave latency out (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=50, help="jobs/s for the latency (default: %(default)s)")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=[variant.name for variant in VARIANTS],
        default=[variant.name for variant in VARIANTS],
        help="variants to measure (default: all)",
    )
    parser.add_argument(
        "--pools", nargs="+", choices=[pool.name for pool in POOLS], default=[pool.name for pool in POOLS]
    )
    parser.add_argument("--output", default=str(RESULTS), help="where the page goes; empty: nowhere else than here")
    return parser.parse_args()


def _progress(number: int, rounds: int, pool: Pool, variant: Variant, figures: Figures) -> str:
    return (
        f"{number}/{rounds} {pool.title:13} {variant.title:36}"
        f" enqueue {figures.enqueue_rate:6.0f}/s"
        f" {figures.enqueue_cpu:5.2f} ({figures.enqueue_servers:4.2f}) CPU s/1,000"
        f" · run {figures.run_rate:6.0f}/s {figures.run_cpu:5.2f} ({figures.run_servers:4.2f})"
        f" · {figures.memory:4.0f} MB · {figures.p50:5.1f} / {figures.p99:6.1f} ms"
    )


if __name__ == "__main__":
    main()
