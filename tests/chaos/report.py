"""The story of a run, for the terminal and for docs/CHAOS.md."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.plain import PlainStory
from tests.chaos.run import Story

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "CHAOS.md"

INTRODUCTION = """# Chaos

What `make chaos` does: thousands of jobs of mixed length, some failing, some deadly, some followed by others (chains,
links, error links, chords), some in steps, some that leave their session changed or a transaction open, some enqueued
in bulk, some under limits of their key or queue, in turns by tenant, or behind a breaker, in transactions of which one
in ten is rolled back. Meanwhile

- workers are stopped and killed, and one with older code, which knows none of the tasks, joins them;
- connections are cut and held half-open;
- broker and database are killed, alone and together, and return in either order;
- the broker is wiped, or follows a primary that is gone and refuses writes (`READONLY`);
- rows of jobs are held by others' transactions for longer than a lease;
- the database's role gets `lock_timeout`, `statement_timeout` and `idle_in_transaction_session_timeout`;
- what some jobs need fails until its breaker opens;
- messages are repeated, and odd ones are sent: unreadable, with headers of wrong types, or named as the engine's own.

Then every job is accounted for, and so is every odd message: it became a job or a dead letter. Only where the broker
was wiped, or a worker died, before that, it may be gone: the ledger cannot send again what it never heard of. Effects
are counted in a file that no fault reaches, and rows that jobs write in the database. From the same file follows how
many ran at once and began in which time; a chord's body proves that all results are there in their order; and when all
is over, every limit must be usable in full.

The plan of jobs and of faults follows from the seed; how they meet does not, since the processes are real.
"""


def text(story: Story, setting: str, plain: Sequence[PlainStory] = ()) -> str:
    """Return the account as a table of words and numbers."""
    account = story.account
    lines = [
        f"Setting: {setting}; seed {story.seed}, {story.seconds:g} s of faults.",
        f"Faults: {sum(story.faults.values())}; workers started: {story.workers_started}.",
        *(f"  {count:4d}  {name}" for name, count in story.faults.most_common()),
        (
            f"Jobs: {account.committed} committed, {account.rolled_back} rolled back,"
            f" {account.unknown} whose commit got no answer."
        ),
        *(f"  {count:5d}  {state}" for state, count in sorted(account.states.items())),
        (
            f"Followers (chains, links, error links) enqueued: {account.followers}, {account.bodies} of them chords'"
            f" bodies. Jobs seen held back: {len(story.held_back)}. Times that a breaker opened: {story.openings}."
        ),
        (
            f"Odd messages that became jobs: {story.odd.jobs}, dead letters: {story.odd.letters},"
            f" gone with the broker or worker that alone had them: {story.odd.taken_along()}."
        ),
        f"Dead letters archived: {story.letters}. At rest {story.rest_seconds:.1f} s after the last fault.",
        "",
        _judged("Lost", account.lost),
        _judged("Unfinished", account.unfinished),
        _judged("Dead by nothing but faults", account.fallen),
        _judged("Overlapping attempts", account.overlapping),
        _judged("Effects or rows of rolled-back jobs", account.undead),
        _judged("Followers twice, or not due", account.untimely),
        _judged("Limits exceeded", account.exceeded),
        _judged("Limits not to be used in full afterwards", story.unused),
        _judged("Odd messages without an end", story.odd.lost()),
        _judged("Repeated without an explanation", account.unexplained),
        f"Repeated and explained: {sum(account.explanations.values())}",
        *(f"  {count:4d}  {reason}" for reason, count in account.explanations.most_common()),
        *_compared(plain),
    ]
    return "\n".join(lines)


def write_document(story: Story, setting: str, plain: Sequence[PlainStory]) -> None:
    """Write docs/CHAOS.md."""
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    DOCUMENT.write_text(f"{INTRODUCTION}\n## The run of {date}\n\n```\n{text(story, setting, plain)}\n```\n")


def _compared(plain: Sequence[PlainStory]) -> list[str]:
    """Return a line for each run of plain Celery."""
    if not plain:
        return []
    return ["", "Plain Celery under the same kinds of faults, tasks published after the commit:"] + [
        f"  {'acks_late' if story.late else 'early acknowledgement'}: {sum(story.faults.values())} faults,"
        f" {story.published} tasks, {story.lost} lost, {story.repeated} repeated, {story.overlapping} overlapping"
        for story in plain
    ]


def _judged(name: str, labels: list[str]) -> str:
    few = ", ".join(labels[:10]) + (", …" if len(labels) > 10 else "")
    return f"{name}: {len(labels)}" + (f"  ({few})" if labels else "")
