"""What is enqueued: a seeded stream of small transactions, some of which are rolled back."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

#: How often each kind comes, by its weight beside the others.
MIX = {
    "quick": 50,
    "short": 14,
    "slow": 2,
    "flaky": 8,
    "broken": 3,
    "deadly": 1,
    "chain": 4,
    "linked": 2,
    "mourned": 2,
    "written": 6,
    "stepped": 2,
    "untidy": 2.9,
    "absorbed": 0.1,
    "bulk": 3,
    "slotted": 1,
    "paced": 0.4,
    "shared": 0.5,
    "needy": 3,
    "chord": 1,
    "journey": 1,
}

#: How many jobs one thing enqueued makes, where that is not one.
JOBS_OF = {
    "chain": 3,
    "linked": 3,
    "mourned": 2,
    "bulk": 20,
    "slotted": 6,
    "paced": 20,
    "shared": 12,
    "chord": 5,
}

#: What comes first, in a transaction each, so that a short run has it too.
FIRST = ("needy", "chord", "journey", "slotted", "paced", "shared")

#: How many steps a journey has.
STEPS = 3

#: How many transactions in a hundred are rolled back.
ROLLED_BACK = 10


@dataclass(frozen=True)
class Call:
    """One thing to enqueue. `labels` names the jobs it makes, in the order in which they are due."""

    kind: str
    labels: tuple[str, ...]
    amount: float = 0.0


@dataclass(frozen=True)
class Transaction:
    """Calls enqueued together, then committed or rolled back."""

    calls: tuple[Call, ...]
    commit: bool


def transactions(seed: int, name: str) -> Iterator[Transaction]:
    """Return an endless stream of transactions; labels begin with `name`."""
    rng = random.Random(f"{seed}:{name}")  # noqa: S311 (a plan that can be repeated)
    number = 0
    for kind in FIRST:
        call = _call(rng, kind, name, number)
        number += len(call.labels)
        yield Transaction((call,), commit=True)
    while True:
        calls = []
        for _ in range(rng.choice((1, 1, 1, 2, 5))):
            call = _call(rng, rng.choices(list(MIX), weights=list(MIX.values()))[0], name, number)
            number += len(call.labels)
            calls.append(call)
        yield Transaction(tuple(calls), commit=rng.random() * 100 >= ROLLED_BACK)


def _call(rng: random.Random, kind: str, name: str, number: int) -> Call:
    count = JOBS_OF.get(kind, 1)
    amount = {
        "quick": 0.0,
        "short": rng.uniform(0.05, 0.4),
        "slow": rng.uniform(1.0, 3.0),
        "flaky": rng.choice((1, 2, 3)),
        "deadly": rng.choice((1, 1, 99)),
        "mourned": rng.choice((0,) * 9 + (99,)),
        "untidy": float(rng.randrange(1000)),
        "slotted": rng.choice((0, 1)),
        "paced": rng.choice((0, 1)),
        "chord": rng.choice((0, 0, 1)),
    }.get(kind, 0.0)
    return Call(kind, tuple(f"{name}-{number + index}" for index in range(count)), amount)
