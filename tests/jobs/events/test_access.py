"""A stream lasts as long as the right to it, and there is room for so many."""

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import DatabaseError
from django.test import AsyncClient
from django.utils import timezone

from accounts.models import User
from jobs.conf import conf
from jobs.events import access, stream as streams
from jobs.events.change import Wanted
from jobs.events.hub import hub
from jobs.events.stream import Stream
from jobs.models import ApiToken
from jobs.operations import tokens
from tests.jobs.events.server import write
from tests.jobs.people import person
from tests.jobs.rows import written

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]

ADDRESS = "/api/events"


@pytest.fixture(autouse=True)
def quick_heart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a heartbeat each tenth of a second."""
    monkeypatch.setattr(streams, "HEARTBEAT", 0.1)


@pytest.fixture
def limits() -> Iterator[Callable[..., None]]:
    """Set how many streams there may be."""
    before = {name: getattr(settings, name) for name in dir(settings) if name.startswith("JOBS_STREAMS_")}

    def given(**values: int) -> None:
        for name, value in values.items():
            setattr(settings, f"JOBS_STREAMS_PER_{name.upper()}", value)
        conf.cache_clear()

    yield given
    for name, value in before.items():
        setattr(settings, name, value)
    conf.cache_clear()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def opened(client: AsyncClient, headers: dict[str, str], query: str = "") -> Any:
    """Open a stream and read its beginning."""
    answer: Any = await client.get(f"{ADDRESS}?{query}", headers=headers)
    assert answer.status_code == 200, answer.content
    pieces = aiter(answer)
    await asyncio.wait_for(anext(pieces), 20)
    return pieces


async def read_to_its_end(pieces: Any, busy: bool) -> bytes:
    """Read a stream until it ends; while it is busy, jobs are enqueued all the time."""

    async def read_all() -> bytes:
        return b"".join([piece async for piece in pieces])

    reading = asyncio.ensure_future(read_all())
    deadline = time.monotonic() + 15
    while not reading.done() and time.monotonic() < deadline:
        if busy:
            await write(written)
        await asyncio.wait([reading], timeout=0.02)
    assert reading.done(), "the stream did not end"
    return await reading


def ends_after(
    act: Callable[[], object], client: AsyncClient, headers: dict[str, str], query: str = "", *, busy: bool = True
) -> None:
    """Hold that a stream goes on until something is done, and ends then."""

    async def run() -> None:
        pieces = await opened(client, headers, query)
        # It goes on for some heartbeats.
        for _ in range(4):
            assert await asyncio.wait_for(anext(pieces), 20) == b": still here\n\n"
        await write(act)
        await read_to_its_end(pieces, busy)
        job = await write(written)
        refused = await client.get(ADDRESS, headers=headers)
        assert refused.status_code in {401, 403}
        assert job is not None

    asyncio.run(run())
    assert hub.count == 0


ENDS_A_TOKEN: dict[str, Callable[[], object]] = {
    "revoked": lambda: tokens.revoke(ApiToken.objects.get(), by="test"),
    "expired": lambda: ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1)),
    "deleted": lambda: ApiToken.objects.all().delete(),
    "narrowed": lambda: ApiToken.objects.update(scopes=["submit"]),
}


@pytest.mark.parametrize("how", ENDS_A_TOKEN)
@pytest.mark.parametrize("query", ["", "ticks=1"])
def test_a_stream_ends_with_its_token(how: str, query: str) -> None:
    token = tokens.create("reader", ["read"], by="tests")[1]
    ends_after(ENDS_A_TOKEN[how], AsyncClient(), bearer(token), query)


ENDS_A_PERSON: dict[str, Callable[[], object]] = {
    "deactivated": lambda: User.objects.update(is_active=False),
    "no staff any more": lambda: User.objects.update(is_staff=False),
    "permission taken": lambda: User.objects.get().user_permissions.set([]),
    "logged out": lambda: Session.objects.all().delete(),
    "session expired": lambda: Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1)),
    "password changed": lambda: _new_password(User.objects.get()),
    "deleted": lambda: User.objects.all().delete(),
}


def _new_password(user: User) -> None:
    user.set_password("quite-another-one-4711")
    user.save()


@pytest.mark.parametrize("how", ENDS_A_PERSON)
def test_a_stream_ends_with_its_persons_right(how: str) -> None:
    client = AsyncClient()
    client.force_login(person("view_job"))
    ends_after(ENDS_A_PERSON[how], client, {})


def test_a_silent_stream_ends_too() -> None:
    token = tokens.create("reader", ["read"], by="tests")[1]
    ends_after(ENDS_A_TOKEN["revoked"], AsyncClient(), bearer(token), "task=nobodys", busy=False)


def test_a_stream_ends_with_its_token_long_before_the_next_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    token = tokens.create("reader", ["read"], by="tests")[1]

    async def run() -> None:
        monkeypatch.setattr(streams, "HEARTBEAT", 600)
        pieces = await opened(AsyncClient(), bearer(token), "task=nobodys")
        await write(ENDS_A_TOKEN["revoked"])
        assert await read_to_its_end(pieces, busy=False) == b""

    asyncio.run(run())


def test_the_end_of_one_right_ends_no_other_stream() -> None:
    one, other = (tokens.create(name, ["read"], by="tests")[1] for name in ("one", "other"))

    async def run() -> None:
        going, ending = await opened(AsyncClient(), bearer(one)), await opened(AsyncClient(), bearer(other))
        await write(lambda: ApiToken.objects.filter(name="other").update(revoked_at=timezone.now()))
        await read_to_its_end(ending, busy=False)
        for _ in range(4):
            assert await asyncio.wait_for(anext(going), 20) == b": still here\n\n"
        await going.aclose()

    asyncio.run(run())


def watched(may: Callable[[], bool], seconds: float, *, reads: bool) -> tuple[bool, bool]:
    """Watch a stream for a while; return whether it has ended, and whether its task was cancelled."""

    async def run() -> tuple[bool, bool]:
        stream = Stream(Wanted())

        async def send() -> None:
            stream.attend()
            async for _ in stream.pieces():
                await asyncio.sleep(0 if reads else 60)

        sending, watching = asyncio.ensure_future(send()), asyncio.ensure_future(access.watch(stream, may))
        stream.push(b"x")
        await asyncio.wait([sending], timeout=seconds)
        done = sending.done(), sending.done() and sending.cancelled()
        for task in (sending, watching):
            task.cancel()
        await asyncio.gather(sending, watching, return_exceptions=True)
        return done

    return asyncio.run(run())


def test_who_reads_nothing_is_ended_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PATIENCE", 0.1)
    assert watched(lambda: False, 5, reads=False) == (True, True)
    assert watched(lambda: False, 5, reads=True) == (True, False)


def test_a_stream_goes_on_while_nobody_can_tell() -> None:
    asked = []

    def gone() -> bool:
        asked.append(True)
        raise DatabaseError("the database is away")

    assert watched(gone, 0.5, reads=True) == (False, False)
    assert len(asked) > 1


async def statuses(number: int, client: AsyncClient, headers: dict[str, str]) -> list[int]:
    """Open streams one after the other, and return what each is answered; all are left at the end."""
    answers: list[Any] = []
    kept = []
    for _ in range(number):
        answers.append(await client.get(ADDRESS, headers=headers))
        if answers[-1].status_code == 200:
            kept.append(aiter(answers[-1]))
            await asyncio.wait_for(anext(kept[-1]), 20)
    for pieces in kept:
        await pieces.aclose()
    return [answer.status_code for answer in answers]


def test_a_token_has_so_many_streams_and_no_more(limits: Callable[..., None]) -> None:
    limits(token=2, person=1)
    one, other = (bearer(tokens.create(name, ["read"], by="tests")[1]) for name in ("one", "other"))

    async def run() -> list[list[int]]:
        return [await statuses(3, AsyncClient(), headers) for headers in (one, other, one)]

    # What is left makes room again, and nobody takes another one's.
    assert asyncio.run(run()) == [[200, 200, 429]] * 3


def test_a_person_has_so_many_streams_and_no_more(limits: Callable[..., None]) -> None:
    limits(token=5, person=2)
    client = AsyncClient()
    client.force_login(person("view_job"))
    assert asyncio.run(statuses(3, client, {})) == [200, 200, 429]


def test_a_process_has_so_many_streams_and_no_more(limits: Callable[..., None]) -> None:
    limits(process=2)
    headers = bearer(tokens.create("reader", ["read"], by="tests")[1])
    assert asyncio.run(statuses(3, AsyncClient(), headers)) == [200, 200, 503]


def test_many_who_come_at_once_find_no_more_room(limits: Callable[..., None]) -> None:
    limits(token=3)
    headers = bearer(tokens.create("reader", ["read"], by="tests")[1])

    async def first(answer: Any) -> tuple[Any, bytes]:
        pieces = aiter(answer)
        return pieces, await asyncio.wait_for(anext(pieces, b""), 20)

    async def run() -> int:
        answers = await asyncio.gather(*(AsyncClient().get(ADDRESS, headers=headers) for _ in range(8)))
        told = await asyncio.gather(*(first(answer) for answer in answers if answer.status_code == 200))
        open_now = hub.count
        for pieces, _ in told:
            await pieces.aclose()
        return open_now

    assert asyncio.run(run()) == 3
    assert hub.count == 0
