"""Many jobs in one message: the ids that go in come out, and what is no list of ids is refused by name."""

import contextlib
import json
import uuid
from typing import Any

import pytest
from hypothesis import given, strategies as st

from jobs.core.delivery import Malformed
from jobs.enqueue.message import CHUNK, CHUNK_SIZE, LEDGER_HEADER, chunk_message
from jobs.enqueue.reading import is_chunk, read_chunk

ONE, OTHER = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))
EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


@given(st.lists(st.uuids(), min_size=1, max_size=CHUNK_SIZE))
def test_what_is_written_is_read_each_job_once_and_in_order(job_ids: list[uuid.UUID]) -> None:
    message = chunk_message("mail", 7, job_ids)
    assert read_chunk(json.loads(message.body)) == list(dict.fromkeys(job_ids))
    assert (message.queue, message.priority, message.job_ids) == ("mail", 7, tuple(job_ids))
    assert is_chunk(json.loads(json.dumps(message.headers)))


def test_the_form_is_that_of_celerys_protocol() -> None:
    message = chunk_message("mail", 5, [uuid.UUID(ONE)])
    assert json.loads(message.body) == [[[ONE]], {}, EMBED]
    assert uuid.UUID(message.headers.pop("id")).version == 7
    assert message.headers == {"lang": "py", "task": "jobs.chunk", LEDGER_HEADER: 1}


REFUSED: dict[str, tuple[Any, str]] = {
    "no call": ("ids", "The body is a str"),
    "no argument": ([[], {}, EMBED], "only argument must be the list"),
    "two lists": ([[[ONE], [OTHER]], {}, EMBED], "only argument must be the list"),
    "an id and no list": ([[ONE], {}, EMBED], "only argument must be the list"),
    "a mapping of ids": ([[{ONE: 1}], {}, EMBED], "only argument must be the list"),
    "no jobs": ([[[]], {}, EMBED], "names 0 jobs: it must name from 1 to 100"),
    "too many jobs": ([[[ONE] * 101], {}, EMBED], "names 101 jobs"),
    "a word": ([[[ONE, "first"]], {}, EMBED], "no job's id: 'first'; each must be a UUID"),
    "several that are none": ([[["a", ONE, 5, None]], {}, EMBED], "no job's id: 'a', 5, None;"),
    "a number of many digits": ([[[10**5000]], {}, EMBED], "no job's id: a number of too many digits"),
    "an empty text": ([[[""]], {}, EMBED], "no job's id: '';"),
}


@pytest.mark.parametrize("payload, words", REFUSED.values(), ids=list(REFUSED))
def test_what_is_no_chunk_is_refused_with_what_is_wrong(payload: Any, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        read_chunk(payload)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=4))


@given(JSON | st.lists(st.lists(JSON | st.just(ONE), max_size=4), max_size=2).map(lambda args: [args, {}, EMBED]))
def test_whatever_comes_is_read_or_refused(payload: Any) -> None:
    with contextlib.suppress(Malformed):
        assert 1 <= len(read_chunk(payload)) <= CHUNK_SIZE


@pytest.mark.parametrize(
    "headers",
    [
        None,
        [],
        {},
        {"task": CHUNK, "id": "1"},
        {"task": CHUNK, LEDGER_HEADER: 1},
        {"task": CHUNK, "id": "1", LEDGER_HEADER: True},
        {"task": [CHUNK], "id": "1", LEDGER_HEADER: 1},
        {"task": "posts.sitemap", "id": "1", LEDGER_HEADER: 1},
    ],
)
def test_a_message_that_the_ledger_has_not_sent_or_that_has_a_task_is_no_chunk(headers: object) -> None:
    assert not is_chunk(headers)
