"""The address: who may listen, what a client is told, what it missed."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.test import AsyncClient, Client

from jobs.core.states import State
from jobs.events import replay, stream as streams
from jobs.events.change import Position, Wanted
from jobs.events.hub import hub
from jobs.events.stream import Stream
from jobs.models import Job
from jobs.operations import tokens
from tests.jobs import verbs
from tests.jobs.events.server import write
from tests.jobs.people import person
from tests.jobs.rows import LEASE, claimed, in_state, next_moment, written

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]

ADDRESS = "/api/events"


@pytest.fixture
def token() -> str:
    """A token that may read."""
    return tokens.create("reader", ["read"], by="tests")[1]


class Listener:
    """A client that listens."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self.opened = asyncio.Event()
        self._blocks: asyncio.Queue[str] = asyncio.Queue()
        self._taking = asyncio.ensure_future(self._take(pieces))

    async def _take(self, pieces: AsyncIterator[bytes]) -> None:
        async for piece in pieces:
            self.opened.set()
            for block in piece.decode().split("\n\n"):
                if block and not block.startswith((":", "retry", "event: listening")):
                    self._blocks.put_nowait(block)

    async def leave(self) -> None:
        """Go away."""
        self._taking.cancel()
        await asyncio.wait([self._taking])

    async def ended(self) -> None:
        """Wait for the end of the stream."""
        await asyncio.wait_for(asyncio.shield(self._taking), 20)

    async def event(self) -> dict[str, Any]:
        """Return the next event: its name, id and data."""
        block = await asyncio.wait_for(self._blocks.get(), 20)
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        return {**fields, "data": json.loads(fields["data"])}

    async def states(self, count: int) -> list[tuple[str, str]]:
        """Return id and state of the next events."""
        data = [(await self.event())["data"] for _ in range(count)]
        return [(one["id"], one["state"]) for one in data]


def listen(token: str, then: Callable[[Listener], Awaitable[None]], query: str = "", last_id: str = "") -> None:
    """Open a stream, wait until it listens, and go on."""

    async def run() -> None:
        headers = {"Authorization": f"Bearer {token}", **({"Last-Event-ID": last_id} if last_id else {})}
        answer: Any = await AsyncClient().get(f"{ADDRESS}?{query}", headers=headers)
        assert answer.status_code == 200, answer.content
        assert answer["Content-Type"] == "text/event-stream"
        pieces = aiter(answer)
        listener = Listener(pieces)
        try:
            await asyncio.wait_for(listener.opened.wait(), 20)
            await asyncio.wait_for(then(listener), 20)
        finally:
            await listener.leave()
            await pieces.aclose()

    asyncio.run(run())
    assert hub.count == 0


def test_nobody_listens_without_leave(token: str) -> None:
    submitter = tokens.create("submitter", ["submit"], by="tests")[1]
    outsider, insider = AsyncClient(), AsyncClient()
    outsider.force_login(person(email="no@example.com"))
    insider.force_login(person("view_job"))

    async def status(client: AsyncClient, **headers: str) -> int:
        answer = await client.get(ADDRESS, headers=headers)
        return int(answer.status_code)

    async def run() -> list[int]:
        return [
            await status(AsyncClient()),
            await status(AsyncClient(), Authorization="Bearer nst_wrong"),
            await status(AsyncClient(), Authorization=f"Bearer {submitter}"),
            await status(outsider),
            await status(insider),
        ]

    assert asyncio.run(run()) == [401, 401, 403, 403, 200]


@pytest.mark.parametrize("query", ["state=ded", "job=42", "colour=red", "ticks=yes"])
def test_what_cannot_be_wanted_is_said(token: str, query: str) -> None:
    async def run() -> Any:
        return await AsyncClient().get(f"{ADDRESS}?{query}", headers={"Authorization": f"Bearer {token}"})

    answer = asyncio.run(run())
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == query.partition("=")[0]


def test_a_wrong_method_is_told_the_right_one() -> None:
    answer = Client().post(ADDRESS)
    assert (answer.status_code, answer["Allow"]) == (405, "GET")
    assert answer["Content-Type"] == "application/problem+json"


def test_a_server_that_cannot_stream_says_so(token: str) -> None:
    answer = Client().get(ADDRESS, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 501


def test_changes_are_told_as_they_are_committed(token: str) -> None:
    async def then(listener: Listener) -> None:
        job = await write(written)
        event = await listener.event()
        assert (event["event"], event["data"]["id"], event["data"]["state"]) == ("job", str(job.pk), "queued")
        assert Position.read(event["id"]) == Position(job.changed_at, job.pk)

    listen(token, then)


def test_a_stream_gets_what_it_asked_for(token: str) -> None:
    job = written()

    async def then(listener: Listener) -> None:
        await write(written)
        await write(claim, job)
        await write(next_moment)
        await write(verbs.succeed, job.pk, LEASE)
        assert await listener.states(1) == [(str(job.pk), "succeeded")]

    listen(token, then, query=f"job={job.pk}&state=succeeded,dead&state=cancelled")


def claim(job: Job) -> None:
    assert verbs.claim(job.pk, lease_id=LEASE, lease_seconds=60, worker="w")


def test_ticks_count_changes(token: str) -> None:
    async def then(listener: Listener) -> None:
        for _ in range(3):
            await write(written)
        counted = 0
        while counted < 3:
            event = await listener.event()
            assert event["event"] == "tick"
            assert event["data"]["states"] == {"queued": event["data"]["changes"]}
            counted += event["data"]["changes"]

    listen(token, then, query="ticks=1")


def test_what_was_missed_is_told_first(token: str) -> None:
    seen = written()
    position = str(Position(seen.changed_at, seen.pk))
    missed, done = written(), claimed()
    verbs.succeed(done.pk, LEASE)

    async def then(listener: Listener) -> None:
        told: list[tuple[str, str]] = []
        while (str(done.pk), "succeeded") not in told:
            told += await listener.states(1)
        assert (str(missed.pk), "queued") in told

    listen(token, then, last_id=position)


def test_an_id_that_is_not_ours_resets(token: str) -> None:
    async def then(listener: Listener) -> None:
        assert (await listener.event())["event"] == "reset"

    listen(token, then, last_id="nonsense")


def test_too_long_a_gap_resets(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "MOST", 2)
    old = written()
    Job.objects.filter(pk=old.pk).update(changed_at=F("changed_at") - timedelta(minutes=11))
    old.refresh_from_db()
    for _ in range(4):
        written()

    async def then(listener: Listener) -> None:
        assert (await listener.event())["event"] == "reset"

    listen(token, then, last_id=str(Position(old.changed_at, old.pk)))


def test_a_long_gap_with_few_changes_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    old = written()
    Job.objects.filter(pk=old.pk).update(changed_at=F("changed_at") - timedelta(hours=3))
    old.refresh_from_db()
    in_state(State.DEAD)
    told = b"".join(replay.missed(Position(old.changed_at, old.pk), Wanted())).decode()
    assert told.count('"state":"dead"') == 1


def test_pages_of_what_was_missed_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "BATCH", 3)
    first = written()
    ids = [str(written().pk) for _ in range(10)]
    Job.objects.exclude(pk=first.pk).update(changed_at=first.changed_at + timedelta(minutes=1))
    pieces = list(replay.missed(Position(first.changed_at, first.pk), Wanted()))
    told = b"".join(pieces).decode()
    assert all(told.count(f'"id":"{pk}"') == 2 for pk in ids), "once as enqueued, once as changed"
    assert len(pieces) == 4


def test_silence_is_broken_by_comments(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT", 0.05)

    async def run() -> bytes:
        answer: Any = await AsyncClient().get(ADDRESS, headers={"Authorization": f"Bearer {token}"})
        pieces = aiter(answer)
        try:
            await anext(pieces)
            return bytes(await asyncio.wait_for(anext(pieces), 20))
        finally:
            await pieces.aclose()

    assert asyncio.run(run()) == b": still here\n\n"


def test_who_takes_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MUCH", 1000)
    monkeypatch.setattr(streams, "PATIENCE", 0.02)

    async def run() -> tuple[bool, bool]:
        stream = Stream(Wanted())

        async def send() -> None:
            stream.attend()
            async for _ in stream.pieces():
                await asyncio.sleep(60)

        task = asyncio.ensure_future(send())
        await asyncio.sleep(0)
        for _ in range(20):
            stream.push(b"x" * 100)
            await asyncio.sleep(0.01)
        await asyncio.wait([task], timeout=5)
        return stream.dropped, task.cancelled()

    assert asyncio.run(run()) == (True, True)


def test_the_end_of_the_server_ends_streams_after_what_waits(token: str) -> None:
    async def then(listener: Listener) -> None:
        await write(written)
        await listener.event()
        hub.end()
        await listener.ended()

    listen(token, then)
