"""`python -m bench`: measure, print progress, judge the bars, write RESULTS.md."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

from bench import peers
from bench.bars import is_judged
from bench.brokers import BROKERS
from bench.databases import DATABASES
from bench.marks import ROOM
from bench.report import line, report
from bench.scenarios import SCENARIOS, Scale, measured
from bench.servers import Servers, scratch
from bench.setups import Results, Setup
from bench.stage import stage
from bench.variants import PEERS, POOLS, USUAL, VARIANTS, Variant, VariantFailed

RESULTS = Path(__file__).with_name("RESULTS.md")

#: What `--quick` measures instead: enough to see where things stand, within a minute.
_QUICK = {"rounds": 1, "jobs": 1000, "latency_jobs": 100, "idle_seconds": 3.0, "output": "", "broker": ["valkey"]}
_QUICK |= {"database": ["postgresql"], "pools": ["prefork"]}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the rounds that the command line, or these arguments instead, ask for."""
    options = _options(arguments)
    variants = [one for one in VARIANTS if one.name in options.only or (options.peers and one in PEERS)]
    if any(variant in PEERS for variant in variants):
        peers.install()
    scenarios = [scenario for scenario in SCENARIOS if scenario.name in options.scenarios]
    scale = Scale(options.jobs, options.latency_jobs, options.rate, options.idle_seconds)
    results, versions, failures = Results(), dict[str, None](), list[str]()
    first = _setups(options.broker[0], options.database[0], options.pools)[0]
    for broker, database in product(options.broker, options.database):
        setups = _setups(broker, database, options.pools)
        if not any(_is_full(setup, first) for setup in setups):
            setups = setups[:1]
        # What has its jobs in the broker is the same beside each database.
        is_of_broker = broker != "ledger" and database != options.database[0]
        able = [one for one in variants if broker in one.brokers and (one.keeps_outcomes or not is_of_broker)]
        with scratch() as directory, Servers(directory, database=database, broker=broker) as servers:
            versions |= dict.fromkeys(servers.versions())
            rounds = {setup: options.rounds if _is_full(setup, first) else 1 for setup in setups}
            for setup, variant in _turns(rounds, able):
                fitting = [one for one in scenarios if setup == first or not one.once]
                try:
                    with stage(variant, setup.pool, servers, directory) as running:
                        for case, figures in measured(running, variant, fitting, scale):
                            results.add(setup, variant, case, figures)
                            print(f"    {line(case, figures)}", flush=True)
                except VariantFailed as exc:
                    # A peer's fault is not to cost what was measured before, and is told at the end.
                    failures.append(f"{setup.title}, {exc}")
                    print(f"    {exc}", flush=True)
    page = report(results, options.rounds, scale, list(versions))
    if options.output:
        Path(options.output).write_text(page)
    print(page)
    if failures:
        raise SystemExit("\n\n".join(["Not all could be measured.", *failures]))


def _setups(broker: str, database: str, pools: Sequence[str]) -> list[Setup]:
    return [Setup(broker, database, pool) for pool in POOLS if pool.name in pools]


def _is_full(setup: Setup, first: Setup) -> bool:
    """Return whether all is measured of a setup: of the others one round with one pool says enough."""
    return (setup.broker, setup.database) == (first.broker, first.database) or is_judged(setup)


def _turns(rounds: Mapping[Setup, int], variants: Sequence[Variant]) -> Iterator[tuple[Setup, Variant]]:
    """Give who is measured next, and on what; tell whoever watches."""
    for setup, number in ((setup, number) for setup, count in rounds.items() for number in range(count)):
        print(f"{setup.title}, round {number + 1} of {rounds[setup]}", flush=True)
        # Every other round backwards, so that nobody always comes after the same one.
        for variant in variants if number % 2 == 0 else reversed(variants):
            print(f"  {variant.title}", flush=True)
            yield setup, variant


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds, variants alternating (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=5000, help="jobs in each drain (default: %(default)s)")
    parser.add_argument("--latency-jobs", type=int, default=200, help="(default: %(default)s)")
    parser.add_argument("--rate", type=float, default=50, help="jobs/s for the latency (default: %(default)s)")
    parser.add_argument("--idle-seconds", type=float, default=15, help="watched without jobs (default: %(default)s)")
    _choice(parser, "--only", "variants", [variant.name for variant in VARIANTS], [one.name for one in USUAL])
    parser.add_argument("--peers", action="store_true", help="besides, install and measure Dramatiq and Huey")
    _choice(parser, "--scenarios", "what is measured", [scenario.name for scenario in SCENARIOS])
    _choice(parser, "--broker", "brokers", list(BROKERS))
    _choice(parser, "--database", "databases", list(DATABASES))
    _choice(parser, "--pools", "pools", [pool.name for pool in POOLS])
    parser.add_argument("--quick", action="store_true", help="a look within a minute, unless told otherwise; no page")
    parser.add_argument("--output", default=str(RESULTS), help="where the page goes; empty: nowhere else than here")
    if parser.parse_known_args(arguments)[0].quick:
        parser.set_defaults(**_QUICK)
    options = parser.parse_args(arguments)
    for name, least in (("jobs", 1), ("latency_jobs", 2)):
        if not least <= (number := getattr(options, name)) <= ROOM:
            parser.error(f"--{name.replace('_', '-')} {number} is not valid: it must be {least} to {ROOM:,}.")
    return options


def _choice(
    parser: argparse.ArgumentParser, name: str, what: str, choices: Sequence[str], default: Sequence[str] | None = None
) -> None:
    parser.add_argument(
        name,
        nargs="+",
        choices=choices,
        default=default or choices,
        metavar="NAME",
        help=f"{what}, of {', '.join(choices)} (default: {'all' if default is None else ', '.join(default)})",
    )


if __name__ == "__main__":
    main()
