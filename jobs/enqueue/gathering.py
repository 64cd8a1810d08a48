"""Groups in the making: their members are gathered, and written together with the group's row.

Who enqueues a job that has a place in a group is one of three: he makes that group, then the job is gathered; he goes
on where a member of it has ended, then the place was counted before; or he adds a member to a group that is there.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from jobs.core.job_ids import ledger_id
from jobs.core.places import Place, ids_in, member_options
from jobs.errors import InvalidOption
from jobs.ledger.enqueue import NewJob
from jobs.ledger.enqueue_once import existing, write_many
from jobs.ledger.new_group import Grown, NewGroup, create, grow


@dataclass(slots=True)
class Gathering:
    """A group whose members are being enqueued.

    Attributes:
        body, callbacks: what follows its success, and else; as in `NewGroup`.
        outer: the place of what the body comes to.
        size: how many members Celery's canvas says it has; None where it does not say.
        ways: how many members there are so far.
    """

    group_id: UUID
    body: Mapping[str, Any] | None = None
    body_id: UUID | None = None
    callbacks: Mapping[str, Any] | None = None
    outer: Place | None = None
    size: int | None = None
    ways: int = 0
    jobs: list[NewJob] = field(default_factory=list)

    @property
    def member_ids(self) -> list[UUID]:
        """The ids of the jobs that are members, in their order."""
        return [job.id for job in self.jobs if job.group_index is not None]

    def add(self, job: NewJob, place: Place) -> None:
        """Take a job that is to be written with the others."""
        self.jobs.append(_as_member(job, self.ways, self.body))
        self.ways += place.ways

    def write(self, parent_id: UUID | None, correlation_id: str) -> list[UUID]:
        """Write the group and its jobs in the caller's transaction. Returns the jobs' ids, in order.

        Of a canvas that is called a second time, with the ids of the first, nothing is written again.

        Raises:
            InvalidOption: it is another canvas, and one of its jobs, or its body's, is there already.
        """
        if not self.ways:
            return []
        is_new = create(
            NewGroup(
                self.group_id, self.ways, self.body, self.body_id, self.callbacks, self.outer, parent_id, correlation_id
            )
        )
        if is_new:
            steps = [step for job in self.jobs for step in (job.options or {}).get("chain") or ()]
            given = [job.id for job in self.jobs if job.given_id]
            _check_are_new(self.group_id, [*given, *(one for step in (*steps, self.body) for one in ids_in(step))])
            return write_many(self.jobs)
        known = existing([job.id for job in self.jobs])
        self.jobs = [job for job in self.jobs if job.id not in known]
        return write_many(self.jobs)


def _check_are_new(group_id: UUID, job_ids: Sequence[UUID]) -> None:
    """Refuse a group that would wait for ever: for a member, or a body, that does not run once more."""
    if odd := [*existing(job_ids), *(job_id for job_id, times in Counter(job_ids).items() if times > 1)]:
        raise InvalidOption(
            f"Group {group_id} cannot be enqueued: {odd[0]} is the id of a job that is there already, or of two of its"
            " own. An id is one job, which does not run again. A signature that was frozen or called keeps its id: make"
            " a new one, or give it another by .set(task_id=…)."
        )


_gatherings: ContextVar[tuple[Gathering, ...]] = ContextVar("gatherings", default=())
#: The group of an empty header, whose body is enqueued at once: Celery writes the group's id into it.
_of_no_group: ContextVar[str | None] = ContextVar("of_no_group", default=None)
_continues: ContextVar[bool] = ContextVar("continues", default=False)


#: The body of the chord that is being called, and its group's id: until its header is enqueued.
_announced: ContextVar[tuple[str, Any] | None] = ContextVar("announced", default=None)


def announce(group_id: str, body: Any) -> None:
    """Note what follows the group that is enqueued next; Celery's chords tell the result backend."""
    _announced.set((group_id, body))


def announced_body(group_id: str) -> Any:
    """Return the body that was announced for this group, once; None for none."""
    found = _announced.get()
    _announced.set(None)
    return found[1] if found is not None and found[0] == group_id else None


@contextmanager
def gathering(group: Gathering) -> Iterator[Gathering]:
    """Gather the jobs that have a place in this group meanwhile; who asks for it writes them."""
    token = _gatherings.set((*_gatherings.get(), group))
    try:
        yield group
    finally:
        _gatherings.reset(token)


@contextmanager
def of_no_group(group_id: str) -> Iterator[None]:
    """Let what is enqueued meanwhile belong to no group of this id: it will not be there."""
    token = _of_no_group.set(group_id)
    try:
        yield
    finally:
        _of_no_group.reset(token)


def is_there(place: Place) -> bool:
    """Return whether a place is in a group that is there, or will be."""
    return _of_no_group.get() is None or ledger_id(str(_of_no_group.get())) != place.group_id


@contextmanager
def continuing() -> Iterator[None]:
    """Let the jobs enqueued meanwhile take the places of what they follow."""
    token = _continues.set(True)
    try:
        yield
    finally:
        _continues.reset(token)


def gathered(group_id: UUID) -> Gathering | None:
    """Return the group of this id if it is in the making here."""
    return next((group for group in reversed(_gatherings.get()) if group.group_id == group_id), None)


def gather(place: Place, jobs: Sequence[NewJob]) -> bool:
    """Take jobs that have a place in a group which is in the making here, and return whether it is."""
    group = gathered(place.group_id)
    if group is None:
        return False
    for job in jobs:
        group.add(job, place)
    return True


def as_members(place: Place, jobs: Sequence[NewJob]) -> list[NewJob]:
    """Return jobs in their places of a group that is there, without those whose id the caller gave and a job has.

    The group has grown by them in the caller's transaction, unless their place was counted before.

    Raises:
        InvalidOption: as `take_place`.
    """
    known = existing([job.id for job in jobs if job.given_id])
    fresh = [job for job in jobs if job.id not in known]
    grown = take_place(replace(place, ways=place.ways * len(fresh)), fresh[0].task) if fresh else None
    if grown is None:
        return fresh
    return [_as_member(job, grown.first + at * place.ways, grown.body) for at, job in enumerate(fresh)]


def _as_member(job: NewJob, number: int, body: Mapping[str, Any] | None) -> NewJob:
    """Return a job as a group has it: in its place, unless it has said one itself, and naming the body it is for."""
    if job.group_index is not None and "group_index" not in (job.options or {}):
        job = job._replace(group_index=number)
    return job._replace(options=member_options(job.options, number, body))


def take_place(place: Place, what: str) -> Grown | None:
    """Count what is enqueued as a member, or several, of a group that is not in the making here.

    Returns:
        The group, where it has grown by that; None where the place was counted before.

    Raises:
        InvalidOption: there is no such group, or all of its members have ended.
    """
    if _continues.get():
        return None
    if (group := gathered(place.group_id)) is not None:
        group.ways += place.ways
        return None
    grown = grow(place.group_id, place.ways)
    if grown is None:
        raise InvalidOption(
            f"{what}: group_id={str(place.group_id)!r} is not valid: it must be the id of a group of which a member has"
            " still to end; new_group() makes one."
        )
    return grown
