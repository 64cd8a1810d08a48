"""The claim of jobs that something limits: decided under the locks of the rules concerned, in one short transaction.

A message of such a job is used up when it is read: either the job is claimed then, or it waits in a line, from which
workers claim whenever something may begin. Who waits longest, among the most urgent, is claimed first, whichever job's
message a worker has just read.
"""

import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from django.conf import settings
from django.db import transaction

from jobs.core.limits import Gate, Kind, admit
from jobs.core.priority import HIGHEST
from jobs.flow.turns import LineTurns, in_lines, in_turn
from jobs.ledger import lines, rules
from jobs.ledger.claims import Claimed
from jobs.ledger.lines import Start, Waiting
from jobs.ledger.rules import Name, Rule

#: How long a rule is waited for that another worker decides by just now, in seconds from one look to the next.
_LOOKS = (0.005, 0.01, 0.02)

#: What sorts before the most urgent.
_BEFORE_ALL = -(HIGHEST + 1)

#: At most so many lines are looked at in one go.
MOST_LINES = 50


@dataclass(frozen=True, slots=True)
class Worker:
    """Who claims.

    Attributes:
        queues: whose jobs it takes.
        lease_seconds: how long its leases last.
    """

    name: str
    queues: Collection[str]
    lease_seconds: float


@dataclass(frozen=True, slots=True)
class Decided:
    """What came of a claim.

    Attributes:
        claimed: the jobs that are to begin, each with the time until then.
        locked: jobs of which nothing could be decided, since others hold their rows, or those of their limits.
    """

    claimed: list[Claimed] = field(default_factory=list)
    locked: set[uuid.UUID] = field(default_factory=set)


def claim(asked: Mapping[uuid.UUID, str], worker: Worker, *, out_of_turn: bool = False) -> Decided:
    """Claim as many jobs as were asked for and may begin, the first in line before others; the others stand in line.

    Args:
        asked: the leases, by jobs that `claims.claim_many` left since something may limit them.
        worker: who claims.
        out_of_turn: whether these go before any that wait, of whatever tenant; they keep to their limits all the same.
    """
    if not asked:
        return Decided()
    with transaction.atomic():
        decision = _Decision()
        found = lines.asked(asked)
        if out_of_turn:
            found = [replace(job, place=(_BEFORE_ALL, *job.place[1:])) for job in found]
        shared = [] if out_of_turn else [job for job in found if job.tenant is not None]
        decision.consider([job for job in found if job not in shared])
        unshared = _consider_turns(decision, shared)
        decision.consider_lines(worker.queues, len(asked))
        # Those of which nothing is decided are asked for again, under the leases that they have.
        undecided = unshared | (asked.keys() - {job.id for job in found})
        leases = [lease for job_id, lease in asked.items() if job_id not in undecided]
        decided = decision.carry_out(asked, leases, worker)
    decided.locked.update(undecided)
    return decided


def _consider_turns(decision: "_Decision", asked: Sequence[Waiting]) -> set[uuid.UUID]:
    """Consider whose turn it is, instead of the tenants' jobs asked for. Returns those to be asked for again."""
    again: set[uuid.UUID] = set()
    for queue in sorted({job.queue for job in asked}):
        mine = [job for job in asked if job.queue == queue]
        chosen = in_turn(queue, len(mine))
        taken = {job.id for job in chosen or ()}
        others = [job for job in mine if job.id not in taken]
        if chosen is not None and settings.CELERY_BROKER_URL.startswith("ledger://"):
            # There a row is its own message: it can be fetched again.
            lines.let_fetch(others)
        decision.consider(chosen or ())
        # The right to claim one that was not used is not lost.
        again.update(job.id for job in others[: len(mine) - len(taken)])
    return again


def claim_from_lines(leases: Sequence[str], worker: Worker) -> list[Claimed]:
    """Claim jobs that wait in line and may begin now or soon, at most as many as there are leases."""
    claimed: list[Claimed] = []
    for pause in (*_LOOKS, None):
        waited_for = rules.with_lines(MOST_LINES) if leases and worker.queues else []
        if not waited_for:
            break
        with transaction.atomic():
            decision = _Decision()
            decision.open(waited_for)
            empty = decision.consider_lines(worker.queues, len(leases))
            claimed = decision.carry_out({}, leases, worker).claimed
            rules.end_lines(empty)
        if claimed or pause is None or decision.lines() >= set(waited_for):
            break
        time.sleep(pause)
    return claimed


class _Decision:
    """Some jobs and all that limits them, while that is locked."""

    def __init__(self) -> None:
        self._jobs: dict[uuid.UUID, Waiting] = {}
        self._rules: dict[Name, Rule] = {}
        #: Those that are locked here.
        self._locked: dict[int, Rule] = {}
        #: The turns in those lines in which several tenants wait.
        self._turns: list[LineTurns] = []

    def open(self, rule_ids: Collection[int]) -> None:
        """Lock rules, in whose lines jobs wait."""
        for rule in rules.lock(rule_ids):
            self._rules[rule.kind, rule.name] = self._locked[rule.id] = rule

    def consider(self, jobs: Sequence[Waiting]) -> None:
        """Take jobs into account, and lock what limits them."""
        self._jobs |= {job.id: job for job in jobs}
        self._read({name for job in jobs for name in _names(job)})
        if missing := {job.limit_key for job in jobs if job.limit_key is not None and self._lacks_key(job)}:
            rules.add_keys(missing)
            self._read({(Kind.KEY, key) for key in missing})
        if wanted := {rule.id for job in jobs for rule, _ in self._limits(job)} - self._locked.keys():
            self.open(wanted)

    def consider_lines(self, queues: Collection[str], number: int) -> set[int]:
        """Consider the first jobs in line for locked rules, of tenants those whose turn it is there.

        Args:
            queues: of which jobs may begin.
            number: how many of each line are considered at most.

        Returns:
            The rules in whose lines there was nothing to consider.
        """
        looked_at = self.lines()
        heads = lines.heads(looked_at, queues, number)
        found, turns = in_lines(heads, queues)
        self._turns += turns
        self.consider(found)
        return looked_at - {job.held_rule for job in heads}

    def lines(self) -> set[int]:
        """Return the locked rules in whose lines jobs may wait."""
        return {rule.id for rule in self._locked.values() if rule.has_line}

    def carry_out(self, own: Mapping[uuid.UUID, str], leases: Sequence[str], worker: Worker) -> Decided:
        """Claim what may begin, in order and while there are leases; have others wait in line for what keeps them.

        Args:
            own: the leases of jobs that were asked for.
            leases: all, which go to others where those may not begin.
            worker: who claims.
        """
        now, read_at = rules.now(), time.monotonic()
        known = sorted(filter(self._is_decidable, self._jobs.values()), key=lambda job: job.place)
        gates = self._gates(known, now)
        through = {job.id: [gates[rule.id] for rule, _ in self._limits(job)] for job in known}
        undecided = own.keys() & (self._jobs.keys() - through.keys())
        admission = admit(((job.id, through[job.id]) for job in known), len(leases) - len(undecided))
        used = {own[job_id] for job_id in (*undecided, *(job_id for job_id, _ in admission.begin)) if job_id in own}
        left = (lease for lease in leases if lease not in used)
        starts = [Start(job_id, own.get(job_id) or next(left), at) for job_id, at in admission.begin]
        taken = lines.take(starts, now, lease_seconds=worker.lease_seconds, worker=worker.name)
        begin = {start.id: start.at for start in starts}
        line = self._lines_of(known, begin, dict(admission.wait))
        lines.hold(line, {rule.id for rule in self._locked.values() if rule.is_paused})
        passed = {gate.rule for job_id in begin for gate in through[job_id]}
        rules.keep({rule_id: now + gates[rule_id].tat for rule_id in passed}, set(line.values()))
        for turns in self._turns:
            turns.note(begin.keys())
        late = time.monotonic() - read_at
        return Decided(
            [job._replace(begins_in=max(0.0, begin[job.id] - late)) for job in taken],
            {job_id for job_id in self._jobs if job_id not in begin and job_id not in line}
            - {job.id for job in known if job.held_rule is not None},
        )

    def _read(self, names: Collection[Name]) -> None:
        for rule in rules.named(names - self._rules.keys()):
            self._rules[rule.kind, rule.name] = rule

    def _lacks_key(self, job: Waiting) -> bool:
        task = self._rules.get((Kind.TASK, job.task))
        return task is not None and task.is_limit and (Kind.KEY, job.limit_key) not in self._rules

    def _limits(self, job: Waiting) -> list[tuple[Rule, Rule]]:
        """Return what limits a job, with the rules that have the figures: a key's are its task's, unless it has own."""
        task, queue = self._rules.get((Kind.TASK, job.task)), self._rules.get((Kind.QUEUE, job.queue))
        key = None if job.limit_key is None else self._rules.get((Kind.KEY, job.limit_key))
        of_task = (task, task) if key is None else (key, key if key.is_limit or task is None else task)
        tenant = None if job.tenant is None else self._rules.get((Kind.TENANT, job.tenant))
        # A task that is paused is so for all its keys.
        of_all = (task, task) if key is not None and task is not None and task.is_paused else (None, None)
        return [
            (rule, figures)
            for rule, figures in (of_all, of_task, (queue, queue), (tenant, tenant))
            if rule is not None and figures is not None and (figures.is_limit or rule.has_line or rule.is_paused)
        ]

    def _is_decidable(self, job: Waiting) -> bool:
        return all(rule.id in self._locked for rule, _ in self._limits(job))

    def _gates(self, jobs: Sequence[Waiting], now: float) -> dict[int, Gate]:
        figures = {(rule.kind, rule.name): (rule, by) for job in jobs for rule, by in self._limits(job)}
        renamed = {rule.name: rule.renamed_to for rule in self._rules.values() if rule.renamed_to is not None}
        running = rules.running({name for name, (_, by) in figures.items() if by.concurrency is not None}, renamed)
        return {rule.id: rule.gate(by, running[name], now) for name, (rule, by) in figures.items()}

    def _lines_of(
        self, jobs: Sequence[Waiting], begin: Collection[uuid.UUID], wait: Mapping[uuid.UUID, int]
    ) -> dict[uuid.UUID, int]:
        """Return in which lines jobs are to stand from now on that do not yet."""
        line = {}
        for job in jobs:
            limits = self._limits(job)
            if job.id in begin or not limits:
                continue
            # One that only lacks a lease, since others were before it, waits for the first of its limits.
            rule_id = wait.get(job.id, job.held_rule or limits[0][0].id)
            if rule_id != job.held_rule:
                line[job.id] = rule_id
        return line


def _names(job: Waiting) -> list[Name]:
    named = [(Kind.TASK, job.task), (Kind.QUEUE, job.queue)]
    named += [] if job.limit_key is None else [(Kind.KEY, job.limit_key)]
    return named if job.tenant is None else [*named, (Kind.TENANT, job.tenant)]
