"""What cannot be enqueued is refused at the call, names thing, value and rule, and leaves nothing behind."""

import math
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, cast

import pytest
from celery import current_app
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.test import override_settings

from jobs import Breaker, EnqueueError, InvalidArguments, InvalidOption, JobTask, job
from jobs.conf import conf, queue_limits, queue_weights
from jobs.models import Job
from tests.jobs.wire import queue_length
from tests.servers import Valkey
from tests.tasks_app import tasks

pytestmark = pytest.mark.any_database

#: Tasks as whoever has no type checker calls them.
note: JobTask = tasks.note
step: JobTask = tasks.step

SELF_CONTAINING: list[Any] = []
SELF_CONTAINING.append(SELF_CONTAINING)


class Unspeakable:
    """A value whose `repr()` fails."""

    def __repr__(self) -> str:
        raise RuntimeError


#: A call, the error, and what its message must say: the thing, the value, the rule.
ARGUMENTS: dict[str, tuple[Callable[[], Any], str]] = {
    "too few": (lambda: step.delay("a"), r"tests\.tasks_app\.tasks\.step: .*signature.*missing.*'name'"),
    "too many": (lambda: note.delay("a", "b"), r"note: .*signature \(effect: str\).*too many positional"),
    "unknown name": (lambda: note.delay(wrong="a"), r"note: .*(missing|unexpected).*"),
    "twice": (lambda: note.apply_async(["a"], {"effect": "b"}), r"note: .*multiple values.*'effect'"),
    "a string for args": (lambda: note.apply_async("abc"), r"note: args='abc' .*must be a list or tuple"),
    "a number for args": (lambda: note.apply_async(cast("Any", 7)), r"note: args=7 .*must be a list or tuple"),
    "a list for kwargs": (
        lambda: note.apply_async((), cast("Any", ["a"])),
        r"note: kwargs=\['a'\] .*must be a mapping",
    ),
    "an object": (lambda: note.delay(object()), r"note: args=\[<object.*cannot be written as JSON"),
    "a set": (lambda: note.delay(effect={1}), r"note: kwargs=\{'effect': \{1\}\} cannot be written as JSON"),
    "itself": (lambda: note.delay(SELF_CONTAINING), r"note: args=.*cannot be written as JSON"),
    "not a number": (lambda: note.delay(math.nan), r"note: args=\[nan\] cannot be written as JSON"),
    "infinite": (lambda: note.delay([math.inf]), r"note: args=\[\[inf\]\] cannot be written as JSON"),
    "NUL": (lambda: note.delay("a\x00b"), r"note: args holds a NUL character, which PostgreSQL cannot store"),
    "NUL in a key": (lambda: note.delay({"\x00": 1}), r"note: args holds a NUL character"),
    "NUL after a backslash": (lambda: note.delay("\\\x00"), r"note: args holds a NUL character"),
    "a lone surrogate": (lambda: note.delay(effect="\udc80"), r"note: kwargs holds a lone surrogate"),
    "a large body": (
        lambda: note.delay("x" * 300_000),
        r"note: the message body has 300,\d{3} bytes: it must not have more than 262,144 \(JOBS_MAX_MESSAGE_BYTES\)",
    ),
    "a large body of large letters": (
        lambda: note.delay("\U0001f600" * 60_000),
        r"note: the message body has .* bytes: it must not have more than 262,144",
    ),
    "a type of Kombu's that is none": (
        lambda: note.delay({"__type__": "no-such", "__value__": 1}),
        r"note: args holds an object with the key \"__type__\".*Use another key",
    ),
    "a type of Kombu's with another value": (
        lambda: note.delay([{"__type__": "uuid", "__value__": {"hex": "x"}}]),
        r"note: args holds an object with the key \"__type__\".*Use another key",
    ),
    "what cannot even be shown": (
        lambda: note.delay(Unspeakable()),
        r"note: args=a list that cannot be shown \(RuntimeError\) cannot be written as JSON",
    ),
    "one of many": (
        lambda: note.delay_many([["a"], ["b"], ["c", "d"]]),
        r"Job 2 of 3: .*note: .*too many positional",
    ),
    "one of many in no form": (
        lambda: note.delay_many(cast("Any", [["a"], 5])),
        r"Job 1: 5 .*must be a mapping or a sequence",
    ),
    "one of many a string": (lambda: note.delay_many(["abc"]), r"Job 0: 'abc' .*must be a mapping or a sequence"),
}

OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown queue": ({"queue": "nowhere"}, r"queue='nowhere' is not known: .*Known queues: .*default"),
    "a dead-letter queue": ({"queue": "default.dead"}, r"queue='default\.dead' is not valid: .*names of the engine"),
    "a lane": ({"queue": "default.urgent"}, r"queue='default\.urgent' is not valid"),
    "a header that AMQP cannot carry": ({"headers": {"n": 10**30}}, r"the header 'n' is not valid: .*64 bits"),
    "a header whose name is too long": ({"headers": {"n" * 256: 1}}, r"the header 'nnn.* is not valid: .*255 bytes"),
    "a name too long inside a header": ({"headers": {"n": {"m" * 256: 1}}}, r"the header 'n' is not valid"),
    "headers that are too large": ({"headers": {"n": "x" * 70_000}}, r"the headers have 70,009 bytes: .* 65,536"),
    "a header inside another": ({"headers": {"n": [{"m": float("nan")}]}}, r"the header 'n' is not valid"),
    "a header with half a sign": ({"headers": {"n": "\ud800"}}, r"the header 'n' is not valid"),
    "a queue that is none": ({"queue": 7}, r"queue=7 is not known"),
    "a priority too high": ({"priority": 10}, r"priority=10 .*whole number from 0 \(last\) to 9 \(first\)"),
    "a priority too low": ({"priority": -1}, r"priority=-1 .*from 0 \(last\) to 9"),
    "a priority in words": ({"priority": "high"}, r"priority='high' .*from 0 \(last\) to 9"),
    "a fraction as priority": ({"priority": 2.0}, r"priority=2\.0 .*from 0 \(last\) to 9"),
    "true as priority": ({"priority": True}, r"priority=True .*from 0 \(last\) to 9"),
    "an eta in words": ({"eta": "tomorrow"}, r"eta='tomorrow' .*must be a datetime"),
    "an eta in seconds": ({"eta": 60}, r"eta=60 .*must be a datetime"),
    "an eta that is a date": ({"eta": datetime(2030, 1, 1, tzinfo=UTC).date()}, r"eta=.*must be a datetime"),
    "a countdown in words": ({"countdown": "60"}, r"countdown='60' .*must be seconds"),
    "a countdown below zero": ({"countdown": -1}, r"countdown=-1 .*must be seconds, zero or more"),
    "a countdown without end": ({"countdown": math.inf}, r"countdown=inf .*must be seconds"),
    "a countdown that is no number": ({"countdown": math.nan}, r"countdown=nan .*must be seconds"),
    "true as countdown": ({"countdown": True}, r"countdown=True .*must be seconds"),
    "a countdown of centuries": ({"countdown": timedelta(days=200_000)}, r"countdown=.* .*must be seconds"),
    "countdown and eta": (
        {"countdown": 5, "eta": datetime(2030, 1, 1, tzinfo=UTC)},
        r"countdown=5 and eta=.* exclude each other",
    ),
    "expires in words": ({"expires": "soon"}, r"expires='soon' .*must be seconds"),
    "expires below zero": ({"expires": -5}, r"expires=-5 .*must be seconds, zero or more"),
    "an id that is none": ({"task_id": "order-17"}, r"task_id='order-17' .*must be a UUID"),
    "headers that are none": ({"headers": ["a"]}, r"headers=\['a'\] .*must be a mapping"),
    "headers beyond JSON": ({"headers": {"a": object()}}, r"options=.*cannot be written as JSON"),
    "a time limit in words": ({"time_limit": "soon"}, r"time_limit='soon' .*must be seconds"),
    "a time limit of nothing": ({"time_limit": 0}, r"time_limit=0 .*must be seconds above zero"),
    "a soft time limit below zero": ({"soft_time_limit": -2}, r"soft_time_limit=-2 .*must be seconds above zero"),
    **{
        f"a soft time limit of {limit!r}": (
            {"soft_time_limit": limit},
            r"soft_time_limit=.* must be seconds above zero",
        )
        for limit in (0, True, math.nan, math.inf, timedelta(seconds=5))
    },
    "a soft time limit above the hard one": (
        {"soft_time_limit": 6, "time_limit": 5.5},
        r"soft_time_limit=6 is not valid: soft_time_limit must be less than or equal to time_limit, which is 5\.5 s",
    ),
    "a soft time limit above the task's own": ({"soft_time_limit": 31}, r"soft_time_limit=31 .*which is 30 s"),
    "a long correlation id": ({"correlation_id": "x" * 65}, r"correlation_id='x+' .*at most 64"),
    "a correlation id that is no text": ({"correlation_id": 7}, r"correlation_id=7 .*must be a text"),
    "a shadow that is no name": ({"shadow": 7}, r"shadow=7 .*must be a text"),
    "a correlation id with NUL": ({"correlation_id": "a\x00b"}, r"correlation_id='a\\x00b' .*printable"),
    "a correlation id of two lines": ({"correlation_id": "a\nb"}, r"correlation_id='a\\nb' .*printable"),
    "a shadow with a lone surrogate": ({"shadow": "\udc80"}, r"shadow='\\udc80' .*printable"),
    "a key with NUL": ({"unique": "a\x00"}, r"unique='.*\\x00' .*no NUL character"),
    "a key with a lone surrogate": ({"unique": "\ud800"}, r"unique='.*\\ud800' .*no lone surrogate"),
    "an app id that is no text": ({"app_id": 7}, r"app_id=7 is not valid: it must be a printable text of at most 255"),
    "a long type": ({"type": "ä" * 128}, r"type='ä+.* is not valid: .*at most 255 bytes"),
    "a reply to two lines": ({"reply_to": "a\nb"}, r"reply_to='a\\nb' is not valid: it must be a printable text"),
    "a user without a name": ({"user_id": ""}, r"user_id='' is not valid"),
    "an encoding that nobody knows": ({"content_encoding": "klingon"}, r"content_encoding='klingon' .*such as utf-8"),
    "an encoding that is wide": ({"content_encoding": "utf-16"}, r"content_encoding='utf-16' .*writes ASCII as it is"),
    "an encoding of bytes": ({"content_encoding": "base64"}, r"content_encoding='base64' .*writes ASCII as it is"),
    "headers with NUL": ({"headers": {"a": "\x00"}}, r"options holds a NUL character"),
    "a word for whether a result is kept": ({"ignore_result": "no"}, r"ignore_result='no' .*true or false"),
    "retries below zero": ({"max_retries": -1}, r"max_retries=-1 .*zero or more"),
    "half a retry": ({"max_retries": 1.5}, r"max_retries=1\.5 .*whole number"),
    "true for retries": ({"max_retries": True}, r"max_retries=True .*whole number"),
    "an option nobody knows": ({"nonsense": 1}, r"apply_async has no option 'nonsense'\. It takes: .*countdown"),
    "a routing key": ({"routing_key": "email"}, r"routing_key='email' has no meaning: .*say queue="),
    "an exchange": ({"exchange": "email"}, r"exchange='email' has no meaning: .*say queue="),
    "another serializer": ({"serializer": "pickle"}, r"serializer='pickle' is not valid: .*JSON"),
    "a compression": ({"compression": "gzip"}, r"compression='gzip' has no meaning: .*pass its id"),
    **{
        f"{name} at {moment!r}": ({name: moment}, rf"{name}=datetime.* is not valid: it must lie between 1970 and 2400")
        for name in ("eta", "expires")
        for moment in (
            datetime(9999, 12, 31, 23, 59),  # noqa: DTZ001
            datetime(1, 1, 1),  # noqa: DTZ001
            datetime.max.replace(tzinfo=UTC),
            datetime.max.replace(tzinfo=timezone(timedelta(hours=-23, minutes=-59))),
            datetime.min.replace(tzinfo=timezone(timedelta(hours=23, minutes=59))),
            datetime(1969, 12, 31, 23, tzinfo=UTC),
        )
    },
}


@pytest.fixture
def nothing_left(valkey: Valkey) -> Iterator[None]:
    """Prove that the call wrote and sent nothing, and that the caller's transaction goes on."""
    yield
    assert not Job.objects.exists()
    assert queue_length(valkey, "default") == 0


@pytest.mark.django_db
@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("call, words", ARGUMENTS.values(), ids=list(ARGUMENTS))
def test_arguments_that_cannot_be(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(InvalidArguments, match=re.compile(words, re.DOTALL)):
        call()


@pytest.mark.django_db
@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("options, words", OPTIONS.values(), ids=list(OPTIONS))
@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
def test_options_that_cannot_be(options: dict[str, Any], words: str, many: bool) -> None:
    if many and "task_id" in options:
        # It could not be the id of all of them.
        words = r"task_id=.*"
    with pytest.raises(EnqueueError, match=words) as error:
        note.delay_many([["a"], ["b"]], **options) if many else note.apply_async(["a"], **options)
    assert "tests.tasks_app.tasks.note" in str(error.value)


@pytest.mark.django_db
def test_a_soft_limit_may_be_as_long_as_the_hard_one_or_stand_alone() -> None:
    @job(name="tests.soft_alone", soft_time_limit=3600, time_limit=None)
    def alone() -> None: ...

    @job(name="tests.soft_before_hard", soft_time_limit=20)
    def before_hard() -> None: ...

    alone.delay()
    before_hard.apply_async(time_limit=20)
    with pytest.raises(EnqueueError, match=r"soft_time_limit=20 is not valid: .*which is 10 s"):
        before_hard.apply_async(time_limit=10)
    with pytest.raises(EnqueueError, match=r"soft_time_limit=20 is not valid: .*which is 10 s"):
        before_hard.delay_many([()], time_limit=10)


@pytest.mark.django_db
def test_errors_are_those_python_programs_expect() -> None:
    with pytest.raises(TypeError):
        note.delay()
    with pytest.raises(ValueError, match="priority"):
        note.apply_async(["a"], priority=11)


@pytest.mark.django_db(transaction=True)
def test_a_refused_call_leaves_the_callers_transaction_whole(valkey: Valkey) -> None:
    with transaction.atomic():
        note.delay("kept")
        with pytest.raises(InvalidArguments):
            note.delay_many([["a"], [object()]])
    assert [row.args for row in Job.objects.all()] == [["kept"]]


@pytest.mark.django_db
def test_an_option_about_sending_changes_nothing() -> None:
    result = note.apply_async(["a"], retry=False, serializer="json", ignore_result=True)
    assert result.job.options is None


@pytest.mark.django_db
def test_the_limit_of_a_body_is_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "JOBS_MAX_MESSAGE_BYTES", 200, raising=False)
    conf.cache_clear()
    try:
        note.delay("x" * 50)
        with pytest.raises(InvalidArguments, match="must not have more than 200"):
            note.delay("x" * 200)
    finally:
        monkeypatch.undo()
        conf.cache_clear()


#: What is no number of jobs, and no number of seconds, whatever it is a number of.
NO_NUMBERS = (True, float("nan"), float("inf"), -float("inf"), 10**400)

DECLARATIONS: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown option": ({"retries": 3}, r"no option 'retries'\. It takes: .*max_retries"),
    "a queue with a space": ({"queue": "a b"}, r"queue='a b' .*letters, digits"),
    "a queue without a name": ({"queue": ""}, r"queue='' .*letters, digits"),
    "a dead-letter queue": ({"queue": "email.dead"}, r"queue='email\.dead' .*does not end in \.dead"),
    "a lane": ({"queue": "email.urgent"}, r"queue='email\.urgent' .*names of the engine"),
    "a queue of RabbitMQ's own": ({"queue": "amq.topic"}, r"queue='amq\.topic' .*or begin with amq\."),
    "a priority out of range": ({"priority": 10}, r"priority=10 .*from 0 to 9"),
    "retries below zero": ({"max_retries": -1}, r"max_retries=-1 .*zero or more"),
    "half a retry": ({"max_retries": 1.5}, r"max_retries=1\.5 .*whole number"),
    "a back-off below zero": ({"retry_backoff": -1}, r"retry_backoff=-1 .*seconds"),
    "a factor below one": ({"retry_backoff_factor": 0.5}, r"retry_backoff_factor=0\.5 .*from 1 to 1000"),
    "a factor in words": ({"retry_backoff_factor": "2"}, r"retry_backoff_factor='2' .*from 1 to 1000"),
    "a longest back-off of nothing": ({"retry_backoff_max": 0}, r"retry_backoff_max=0 .*above zero"),
    "a whole jitter": ({"retry_jitter": 1}, r"retry_jitter=1 .*share below 1"),
    "a time limit of nothing": ({"time_limit": 0}, r"time_limit=0 .*above zero"),
    "a time limit in words": ({"soft_time_limit": "1"}, r"soft_time_limit='1' .*above zero"),
    **{
        f"{name} of {limit!r}": ({name: limit}, rf"{name}=.* is not valid: it must be seconds above zero, or None")
        for name in ("time_limit", "soft_time_limit")
        for limit in (0, -1, True, math.nan, math.inf)
    },
    "a soft time limit above the hard one": (
        {"soft_time_limit": 61, "time_limit": 60},
        r"soft_time_limit=61 is not valid: soft_time_limit must be less than or equal to time_limit, which is 60 s",
    ),
    "a soft time limit above the default": ({"soft_time_limit": 31}, r"soft_time_limit=31 .*which is 30 s"),
    "a rate of nothing": ({"public_rate": "0/h"}, r"public_rate='0/h' .*a number above zero and a unit"),
    "a rate without a unit": ({"public_rate": 100}, r"public_rate=100 .*such as 10/s"),
    "a rate by the week": ({"public_rate": "5/w"}, r"public_rate='5/w' .*5000/d"),
    **{
        f"{name}={value!r:.20}": ({name: value}, rf"{name}=.* is not valid: it must be")
        for name, values in {
            "rate_limit": ("10/fortnight", "10", "1e3/s", " 10/s", "٣/s", "0/s", "-1/s", "", 0, -1, *NO_NUMBERS),
            "burst": (0, -1, 2.5, 2**31, "5", *NO_NUMBERS),
            "concurrency": (0, -1, 2.5, 2**31, "5", *NO_NUMBERS),
            "batch": (1, 0, -2, 2.0, 10_001, "5", *NO_NUMBERS),
            "batch_wait": (0, -1, 300.5, "5", *NO_NUMBERS),
            "key": ("", "{", "{}", "{0}", "two words", 7, True),
            "tenant": ("", "{", "{}", "{0}", "two words", 7, True),
            "breaker": (7, True, ["smtp"]),
        }.items()
        for value in values
    },
    **{
        f"{name}={value!r:.20}": ({"unique": True, name: value}, rf"{name}=.* is not valid: it must be")
        for name, values in {
            "within": (0, -1, "5", *NO_NUMBERS),
            "max_delay": (0, -1, "5", *NO_NUMBERS),
            "until": ("", "ended", True, 5),
            "replace": ("kwargs", ("args",), (1,), True),
        }.items()
        for value in values
    },
    "a burst of nothing": ({"burst": 5}, r"burst= says nothing without rate_limit="),
    "a wait without a batch": ({"batch_wait": 5}, r"batch_wait= says nothing without batch="),
    "a window without a key": ({"within": 5}, r"within=5 says nothing without unique="),
    "a longest delay of nothing": ({"unique": True, "max_delay": 5}, r"max_delay=5 needs replace=\('run_at',\)"),
    "a breaker that nobody declared": ({"breaker": "nobody"}, r"breaker='nobody' is not declared"),
    "a name for an exception": ({"autoretry_for": ("OSError",)}, r"autoretry_for=\('OSError',\) .*exception classes"),
    "one exception": ({"dont_autoretry_for": OSError}, r"dont_autoretry_for=.*tuple of exception classes"),
}


@pytest.mark.parametrize("options, words", DECLARATIONS.values(), ids=list(DECLARATIONS))
def test_a_declaration_that_cannot_be(options: dict[str, Any], words: str) -> None:
    before = set(current_app.tasks)
    with pytest.raises(InvalidOption, match=words):
        cast("Any", job)(**options)(lambda: None)
    assert set(current_app.tasks) == before


@pytest.mark.parametrize("option", ["key", "tenant"])
@pytest.mark.parametrize("value", ["nobody", "{nobody}", "{first}:{nobody[0]}"])
def test_a_key_or_tenant_that_is_no_argument_is_refused_at_import(option: str, value: str) -> None:
    def takes(first: str) -> None: ...

    with pytest.raises(InvalidOption, match=rf"{option}='.*' is not valid: 'nobody' is no argument of .*: first\."):
        cast("Any", job)(name="tests.bad_input.takes", **{option: value})(takes)
    assert "tests.bad_input.takes" not in current_app.tasks


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["within", "max_delay"])
@pytest.mark.parametrize("value", [0, -1, "5", *NO_NUMBERS], ids=lambda value: f"{value!r:.20}")
def test_a_call_that_is_unique_for_no_time_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidOption, match=f"{name}=.* is not valid: it must be seconds above zero"):
        note.apply_async(("x",), unique="k", **{name: value})
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    "said, words",
    [
        ({"email": ""}, "it limits nothing"),
        ({"email": "burst:5"}, "it limits nothing"),
        ({"email": "burst:5 concurrency:2"}, "burst: says nothing without a rate"),
        ({"email": "10/s 20/s"}, "'20/s' is the second figure of its sort"),
        ({"email": "concurrency:2 concurrency:3"}, "'concurrency:3' is the second figure"),
        ({"email": "concurrency:2147483648"}, "is no figure"),
        ({"email": "concurrency:" + "9" * 5000}, "is no figure"),
        ({"email": "concurrency:٣"}, "is no figure"),
        ({"email": "nan/s"}, "'nan/s' is no rate"),
        ({"email": 10}, "it is no text such as"),
        ({"email": None}, "it is no text such as"),
        ({"a b": "10/s"}, "'a b' is no queue's name"),
        ({7: "10/s"}, "7 is no queue's name"),
        ("email=10/s", "it must be a mapping"),
    ],
)
def test_a_setting_of_limits_that_are_none_is_refused(said: Any, words: str) -> None:
    with override_settings(JOBS_LIMITS=said), pytest.raises(ImproperlyConfigured, match=words) as refused:
        queue_limits()
    assert str(refused.value).startswith("JOBS_LIMITS")


@pytest.mark.parametrize("weight", [0, -1, 0.001, 101, "3", None, *NO_NUMBERS], ids=lambda value: f"{value!r:.20}")
def test_a_setting_of_weights_that_are_none_is_refused(weight: Any) -> None:
    with (
        override_settings(JOBS_QUEUE_WEIGHTS={"email": weight}),
        pytest.raises(ImproperlyConfigured, match=r"JOBS_QUEUE_WEIGHTS=email=.* is not valid: it must be a number"),
    ):
        queue_weights()


@pytest.mark.parametrize("said", ["email=3", 3, None, ["email"]])
def test_a_setting_of_weights_that_is_no_mapping_is_refused(said: Any) -> None:
    with override_settings(JOBS_QUEUE_WEIGHTS=said), pytest.raises(ImproperlyConfigured, match="must be a mapping"):
        queue_weights()


@pytest.mark.parametrize(
    "field, value",
    [
        (field, value)
        for field, values in {
            "failures": (0, -1, 2.5, "5"),
            "minimum": (0, -1, 2.5, "5"),
            "ratio": (0, -0.5, 1.5, "1", *NO_NUMBERS[1:]),
            "window": (0, -1, "5", 86_401, *NO_NUMBERS),
            "pause": (0, -1, "5", 86_401, *NO_NUMBERS),
            "longest_pause": (0, -1, "5", 86_401, *NO_NUMBERS),
            "name": ("", "Smtp", "a b", "x" * 51, 7, None),
        }.items()
        for value in values
    ],
    ids=lambda value: f"{value!r:.20}",
)
def test_a_figure_that_no_breaker_can_have_is_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidOption, match=rf"{field}=.* is not valid: it must be"):
        Breaker(**{"name": "tests.bad_input", field: value})
