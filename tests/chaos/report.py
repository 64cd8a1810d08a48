"""The story of a run, for the terminal and for docs/CHAOS.md."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.plain import PlainStory
from tests.chaos.run import Story

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "CHAOS.md"

INTRODUCTION = """# Chaos

What `make chaos` does: thousands of jobs of mixed length, some failing, some deadly, some chained, some enqueued in
bulk, in transactions of which one in ten is rolled back, while workers are stopped and killed, connections are cut
and held half-open, broker and database are killed, the broker is wiped, messages are repeated and garbage is
injected. Then every job is accounted for. Effects are counted in a file that no fault reaches.

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
        f"Dead letters archived: {story.letters}. At rest {story.rest_seconds:.1f} s after the last fault.",
        "",
        _judged("Lost", account.lost),
        _judged("Unfinished", account.unfinished),
        _judged("Overlapping attempts", account.overlapping),
        _judged("Effects or rows of rolled-back jobs", account.undead),
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
