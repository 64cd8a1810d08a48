"""From figures to a page that says what was measured, how, on what machine."""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from statistics import median

from bench import bars, peers, where
from bench.figures import TURN_SECONDS, Claims, Fetch, Figures, Idle, Latency, Turns, Work, ratios
from bench.scenarios import Case, Scale
from bench.servers import circumstances
from bench.setups import Results, Setup
from bench.variants import LATE, PEERS, Variant

INTRODUCTION = """# What `make bench` measured

Jobs that do nothing. The worker is held still while everything is enqueued; then it runs it all, timed from its release
to the last outcome kept (of plain Celery and the peers, which keep none: to the last body). PostgreSQL with every
commit on the disk, Valkey in memory only. CPU is that of the enqueuing process, or of the worker: its parent process
with its children. That of the servers is said apart; "all" is their sum, and what the bars judge. Latency is from the
call to the body, at a modest rate. Variants alternate within each round; medians of all rounds. The ratios are to
Celery with `acks_late`, round by round: above 1 is better for jobs/s, below 1 for CPU. What `delay_many` enqueues is
compared with Celery's one by one: it has no bulk. What has no bar is measured in one round, and with a pool of
processes alone; what uses no database, beside one database.
"""

#: The columns: what is shown, of which figure, with how many decimals.
_COLUMNS: Sequence[tuple[str, Callable[[Work], float], int]] = (
    ("jobs/s", lambda one: one.rate, 0),
    ("CPU s per 1,000", lambda one: one.per_thousand(one.cpu), 2),
    ("of it parent", lambda one: one.per_thousand(one.parent), 2),
    ("database", lambda one: one.per_thousand(one.database), 2),
    ("broker", lambda one: one.per_thousand(one.broker), 2),
    ("all", lambda one: one.total, 2),
    ("peak MB", lambda one: one.memory / 1e6, 0),
)

#: And what is divided by the figure of Celery with `acks_late`.
_RATIOS: Sequence[tuple[str, Callable[[Work], float]]] = (
    ("jobs/s x", lambda one: one.rate),
    ("CPU x", lambda one: one.per_thousand(one.cpu)),
    ("all x", lambda one: one.total),
)


def report(results: Results, rounds: int, scale: Scale, versions: Sequence[str]) -> str:
    """Return the page: the bars, who was measured, and the figures of each setup."""
    packages = [f"{name} {version(name)}" for name in ("celery", "kombu", "redis", "django", "psycopg")]
    packages += [peers.version(variant.name) for variant in results.variants() if variant in PEERS]
    measured = f"{rounds} rounds of {scale.jobs:,} jobs; latency of {scale.latency_jobs} jobs at {scale.rate:g}/s."
    parts = [
        INTRODUCTION,
        f"{circumstances([*versions, *packages])}.\n{measured}",
        *(f"## Bars\n\n{judged}" for judged in [bars.table(results)] if judged),
        where.profile(),
        *(said for said in [where.changes(bars.missed(results))] if said),
        "## Who is measured\n\n" + "\n".join(map(_terms, results.variants())),
        *(_section(results, setup) for setup in results.setups()),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _terms(variant: Variant) -> str:
    return f"- {variant.title}: {variant.settings} {variant.durability}"


def _section(results: Results, setup: Setup) -> str:
    work = [
        _work(case, variant, figures, results.of(setup, LATE, _counterpart(case), Work))
        for case in Case
        for variant in results.variants()
        if (figures := results.of(setup, variant, case, Work))
    ]
    rest = [
        line
        for variant in results.variants()
        for line in (
            _latency(variant, results.of(setup, variant, Case.LATENCY, Latency)),
            _idle(variant, results.of(setup, variant, Case.IDLE, Idle)),
            _fetch(variant, results.of(setup, variant, Case.FETCH, Fetch)),
            _claims(variant, results.of(setup, variant, Case.CLAIMS, Claims)),
            _turns(variant, results.of(setup, variant, Case.TURNS, Turns)),
        )
        if line
    ]
    titles = [*(title for title, _, _ in _COLUMNS), *(title for title, _ in _RATIOS)]
    head = f"| | {' | '.join(titles)} |\n|---|{'---:|' * len(titles)}"
    return f"## {setup.title}\n\n" + "\n".join([head, *work, "", *rest])


def _counterpart(case: Case) -> Case:
    """Return what plain Celery is compared by: it has no bulk."""
    return {Case.ENQUEUE_MANY: Case.ENQUEUE, Case.DRAIN_MANY: Case.DRAIN}.get(case, case)


def _work(case: Case, variant: Variant, rounds: Sequence[Work], late: Sequence[Work]) -> str:
    cells = [
        *(f"{median(map(of, rounds)):,.{decimals}f}" for _, of, decimals in _COLUMNS),
        *(_ratio(rounds, late, of) for _, of in _RATIOS),
    ]
    return f"| {case}: {variant.title} | {' | '.join(cells)} |"


def _ratio(rounds: Sequence[Work], late: Sequence[Work], of: Callable[[Work], float]) -> str:
    values = ratios(rounds, late, of)
    return f"{median(values):.2f}" if values else ""


def _latency(variant: Variant, rounds: Sequence[Latency]) -> str:
    if not rounds:
        return ""
    p50, p99 = median(one.p50 for one in rounds), median(one.p99 for one in rounds)
    return f"- Latency, {variant.title}: p50 {p50:.1f} ms, p99 {p99:.1f} ms."


def _idle(variant: Variant, rounds: Sequence[Idle]) -> str:
    if not rounds:
        return ""
    told = [one.statements for one in rounds if one.statements is not None]
    statements = f", {median(told):.1f} statements/s" if told else ""
    return f"- Idle, {variant.title}: {median(one.cpu for one in rounds):.1f} ms of CPU a second{statements}."


def _fetch(variant: Variant, rounds: Sequence[Fetch]) -> str:
    if not rounds:
        return ""
    p50 = median(one.p50 for one in rounds)
    return f"- Results, {variant.title}: with whoever waits for them {p50:.1f} ms after the body, at the median."


def _claims(variant: Variant, rounds: Sequence[Claims]) -> str:
    if not rounds:
        return ""
    plain, ruled, held = (median(getattr(one, name) for one in rounds) for name in ("plain", "ruled", "held"))
    return (
        f"- A statement that claims a hundred jobs, {variant.title}: {ruled:.2f} ms, {plain:.2f} ms without the"
        f" conditions of flow control, {held:.2f} ms beside 100,000 jobs held by one key."
    )


def _turns(variant: Variant, rounds: Sequence[Turns]) -> str:
    if not rounds:
        return ""
    alone, beside = (median(getattr(one, name) for one in rounds) for name in ("alone", "beside"))
    return (
        f"- Ten jobs of one tenant, {TURN_SECONDS * 1000:g} ms each, {variant.title}: {alone:.0f} ms alone,"
        f" {beside:.0f} ms beside {rounds[0].flood:,} of another."
    )


def line(case: Case, figures: Figures) -> str:
    """Return one round's figures in a line, for whoever watches."""
    match figures:
        case Work():
            apart = (figures.cpu, figures.database, figures.broker)
            cpu = " + ".join(f"{figures.per_thousand(seconds):.2f}" for seconds in apart)
            parent = f", parent {figures.per_thousand(figures.parent):.2f}" if figures.parent else ""
            return f"{case:27} {figures.rate:7,.0f}/s  {cpu} CPU s/1,000{parent}"
        case Fetch():
            return f"{case:27} {figures.p50:.1f} ms after the body"
        case Claims():
            each = f"{figures.plain:.2f} ms plain, {figures.ruled:.2f} ms ruled, {figures.held:.2f} ms beside held jobs"
            return f"{case:27} {each}"
        case Turns():
            return (
                f"{case:27} {figures.alone:.0f} ms alone, {figures.beside:.0f} ms beside {figures.flood:,} of another"
            )
        case Latency():
            return f"{case:27} p50 {figures.p50:.1f} ms, p99 {figures.p99:.1f} ms"
        case Idle():
            told = "" if figures.statements is None else f", {figures.statements:.1f} statements/s"
            each = "".join(f"\n      {rate:5.1f}/s {' '.join(text.split())[:100]}" for rate, text in figures.told)
            return f"{case:27} {figures.cpu:.1f} ms of CPU a second{told}{each}"
