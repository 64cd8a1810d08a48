"""Odd values in every path, query, form and body of the site: refused or found nowhere, never a failure of ours.

The addresses come from the resolver, the names from the sources, the admin and the API's schema: what is added to the
site is covered here without another line.
"""

import base64
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.urls.resolvers import RoutePattern

from accounts.models import User
from jobs.api.urls import api
from jobs.conf import conf
from jobs.core.states import State
from jobs.enqueue.dispatcher import flush
from jobs.models import DeadLetter, Queue
from posts.models import Post
from tests.jobs.letters import NOTE, letter_of_a_dead_job
from tests.jobs.rows import in_state, written
from tests.servers import Valkey

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

NESTED = "[" * 900 + "]" * 900

#: Written as they stand in an address; nothing long is percent-encoded, for to take that apart takes most of the time.
ODD = {
    "NUL": "a%00b",
    "a lone surrogate": "%ED%A0%80",
    "no UTF-8": "%FF",
    "not a number": "NaN",
    "infinity": "-Infinity",
    "a float that overflows": "1e999",
    "a small float": "2.27e-242",
    "a big number": "9" * 30,
    "a number of many digits": "9" * 5000,
    "below zero": "-1",
    "nested": NESTED,
    "nested objects": '{"a":' * 900 + "1" + "}" * 900,
    "the first time": quote("0001-01-01T00:00:00+23:59"),
    "the last time": quote("9999-12-31T23:59:59.999999-23:59"),
    "search terms": quote("since:0001-01-01T00:00+23:59 until:9999-12-31T23:59-23:59"),
    "a search term": quote("since:2026-01-01T00:00+23:59"),
    "an argument": quote(f'kwargs.a.b:{"9" * 400} kwargs.c:"{NESTED}" id:x', safe="[]:"),
    "signs": quote("'\"<>&;%\\\r\n\u202e\U0001f600"),
}

#: The same as JSON, as far as it is not spelt differently there.
ODD_JSON = {
    "NUL": '"a\\u0000b"',
    "a NUL in a key": '{"a\\u0000b": 1}',
    "a lone surrogate": '"\\ud800"',
    "a lone surrogate in a key": '{"\\udfff": 1}',
    "not a number": "NaN",
    "infinity": "-Infinity",
    "a float that overflows": "1e999",
    "a big number": "9" * 30,
    "a number of many digits": "9" * 5000,
    "nested": NESTED,
    "nested objects": '{"a":' * 900 + "1" + "}" * 900,
    "the first time": '"0001-01-01T00:00:00+23:59"',
    "the last time": '"9999-12-31T23:59:59.999999-23:59"',
    "a small float": '"2.27e-242"',
    "null": "null",
    "a list": "[]",
    "an object": "{}",
}


@dataclass(frozen=True)
class Address:
    """A path of the site. `holes` are where values stand in it, with the names of their converters."""

    parts: tuple[str, ...]
    holes: tuple[str, ...] = ()

    def filled(self, values: list[str]) -> str:
        return self.parts[0] + "".join(value + part for value, part in zip(values, self.parts[1:], strict=True))


def addresses() -> Iterator[Address]:
    """Return every address of the project's resolver."""
    yield from _below(get_resolver().url_patterns, "/")


def _below(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[Address]:
    for pattern in patterns:
        if not isinstance(pattern.pattern, RoutePattern):
            # A regular expression: the sitemap's shards, and what leads nowhere.
            yield Address((prefix, ""), ("path",))
        elif isinstance(pattern, URLResolver):
            yield from _below(pattern.url_patterns, prefix + str(pattern.pattern))
        else:
            *pieces, last = re.split(r"<(?:(\w+):)?\w+>", prefix + str(pattern.pattern))
            yield Address((*pieces[::2], last), tuple(kind or "str" for kind in pieces[1::2]))


ADDRESSES = sorted(set(addresses()), key=str)

_READ = re.compile(r"\.(?:GET|POST|FILES)(?:\.get(?:list)?\(|\[)\s*\"([\w-]+)\"")


@cache
def read_names() -> list[str]:
    """Return the names that our sources read from queries and forms."""
    apps = ("accounts", "jobs", "mail", "notify", "posts", "project", "search", "storage")
    texts = (path.read_text() for app in apps for path in Path(settings.BASE_DIR, app).rglob("*.py"))
    return sorted({name for text in texts for name in _READ.findall(text)})


@cache
def admin_names() -> list[str]:
    """Return what the lists of the admin can be asked."""
    fields = {
        str(entry[0] if isinstance(entry, tuple) else entry)
        for page in admin.site._registry.values()
        for entry in page.list_filter
        if isinstance(entry, (str, tuple))
    }
    looked_up = [f"{name}{operation}" for name in sorted(fields) for operation in ("__exact", "__gte", "__year")]
    return [
        "p",
        "o",
        "all",
        "e",
        "_to_field",
        "_popup",
        "_changelist_filters",
        "action",
        "_selected_action",
        *looked_up,
    ]


@cache
def api_names() -> list[str]:
    """Return the parameters of the API's operations."""
    operations = [operation for path in api.get_openapi_schema()["paths"].values() for operation in path.values()]
    return sorted({one["name"] for operation in operations for one in operation.get("parameters", ())})


def names_for(path: str) -> list[str]:
    if path.startswith("/api/"):
        return api_names()
    return [*read_names(), *(admin_names() if path.startswith("/admin/") else ())]


@pytest.fixture
def rows(transactional_db: None, valkey: Valkey, settings: Any) -> Iterator[dict[str, str]]:
    """Rows of every kind, and what stands for each converter where it is sound."""
    settings.JOBS_API_REQUESTS_PER_MINUTE = 1_000_000
    conf.cache_clear()
    jobs = [in_state(state) for state in State]
    letter_of_a_dead_job()
    post = Post.objects.create(author=User.objects.create_user("jane@example.com"), title="A", slug="a", text="b")
    job_id = str(jobs[0].pk)
    yield {"uuid": job_id, "uuidstr": job_id, "int": "1", "str": "default", "slug": post.slug, "path": "1"}
    conf.cache_clear()
    # Its thread has a connection to the database.
    flush()


@pytest.fixture
def staff(rows: dict[str, str], settings: Any) -> Client:
    # Each of thousands of requests would read its session from the database, which takes as long as to refuse it.
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("root@example.com"))
    return client


@dataclass
class Findings:
    """What failed."""

    found: list[str] = field(default_factory=list)

    def look(self, what: str, path: str, answer: Any) -> None:
        """Note an answer that is none."""
        if answer.status_code >= 500 and answer.status_code != 501:
            self.found.append(f"{answer.status_code}: {what} at {path[:80]}")
        kind = answer.headers.get("Content-Type", "")
        if path.startswith("/api/") and answer.status_code >= 400 and kind != "application/problem+json":
            self.found.append(f"{answer.status_code}: {what} at {path[:80]} is answered as {kind}")


def ask(client: Client, method: str, path: str, query: str = "", form: str = "") -> Any:
    """Send a request whose address and form are written as they are given."""
    kind = "application/x-www-form-urlencoded"
    return client.generic(method, path, form, content_type=kind, QUERY_STRING=query)


@pytest.mark.parametrize("value", ODD)
def test_an_odd_value_in_any_path_is_found_nowhere(value: str, staff: Client, rows: dict[str, str]) -> None:
    findings = Findings()
    turn = list(ODD).index(value)
    for number, address in enumerate(ADDRESSES):
        for index in range(len(address.holes)):
            values = [rows[kind] for kind in address.holes]
            values[index] = ODD[value]
            path = address.filled(values)
            # Django's admin looks for the row before it asks for the method: of its pages each sixth gets a form too.
            is_read_only = path.startswith("/admin/") and (number + turn) % 6
            for method in ("GET",) if is_read_only else ("GET", "POST"):
                # The test client takes an address apart as it decodes it.
                answer = staff.generic(method, path, "", content_type="application/x-www-form-urlencoded")
                findings.look(f"{method} with {value}", path, answer)
    assert not findings.found, "\n".join(findings.found)
    assert not Queue.objects.exists()


def kinds_of_keys() -> list[ContentType]:
    """Return a model for each sort of primary key: a row is looked for by its key, and none is found."""
    models = ((kind, kind.model_class()) for kind in ContentType.objects.all())
    found = {(type(model._meta.pk), model._meta.pk.max_length): kind for kind, model in models if model is not None}
    return list(found.values())


def test_the_admin_leads_from_no_odd_key_to_a_page(staff: Client) -> None:
    findings = Findings()
    for kind in kinds_of_keys():
        for value, text in ODD.items():
            path = f"/admin/r/{kind.pk}/{text or '-'}/"
            answer = ask(staff, "GET", path)
            findings.look(f"a {kind.model} with {value}", path, answer)
            assert answer.status_code in {HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.FOUND}, path
    assert not findings.found, "\n".join(findings.found)


@pytest.mark.parametrize("value", ODD)
def test_an_odd_value_under_any_name_is_refused_or_finds_nothing(
    value: str, staff: Client, rows: dict[str, str]
) -> None:
    findings = Findings()
    turn = list(ODD).index(value)
    for number, address in enumerate(ADDRESSES):
        # Every address meets every sixth value, and together they meet all: a minute, not six.
        if (number + turn) % 6:
            continue
        path = address.filled([rows[kind] for kind in address.holes])
        names = names_for(path)
        for given in (names, [names[(number + turn) % len(names)]]):
            text = "&".join(f"{name}={ODD[value]}" for name in given)
            findings.look(f"?{given[0]}… with {value}", path, ask(staff, "GET", path, query=text))
            if "log-out" not in path:
                findings.look(f"{given[0]}… with {value} in a form", path, ask(staff, "POST", path, form=text))
    assert not findings.found, "\n".join(findings.found)


def bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    """Return a sound body for each operation of the API that takes one, by its path."""
    job = {"task": NOTE, "kwargs": {"effect": "x"}, "run_at": "2030-01-01T00:00:00Z", "unique": "x", "queue": "default"}
    some = {"ids": [], "queue": "default", "task": NOTE, "q": "x"}
    jobs = {**some, "state": [], "error": "x", "kwargs": {"a": 1}, "created_after": "2026-01-01T00:00:00Z"}
    letters = {**some, "reason": None, "failed_after": "2026-01-01T00:00:00Z"}
    yield "jobs", {**job, "priority": 3, "correlation_id": "x"}
    yield "jobs/bulk", {"jobs": [job]}
    yield "jobs/actions", {"action": "retry", "filter": jobs, "dry_run": True}
    yield "dead-letters/actions", {"action": "replay", "filter": letters, "dry_run": True}


def with_each_field_odd(body: Any, odd: str) -> Iterator[str]:
    """Return the JSON of a body as often as it has values, each time with another one replaced."""
    whole = json.dumps(body)
    yield odd
    for path in places(body):
        changed = json.loads(whole)
        holder = changed
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = "@"
        yield json.dumps(changed).replace('"@"', odd)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in pairs:
        yield from places(item, (*path, key))


@pytest.mark.parametrize("value", ODD_JSON)
def test_an_odd_value_in_any_field_of_a_body_is_refused(value: str, staff: Client) -> None:
    findings = Findings()
    for path, body in bodies():
        for text in with_each_field_odd(body, ODD_JSON[value]):
            answer = staff.post(f"/api/{path}", text, content_type="application/json")
            findings.look(f"{text[:200]}", f"/api/{path}", answer)
    assert not findings.found, "\n".join(findings.found)
    for text in (ODD_JSON[value], f'{{"effect": {ODD_JSON[value]}}}'):
        letter = DeadLetter.objects.get()
        answer = staff.post(f"/jobs/dead/{letter.pk}/replay", {"arguments": text})
        assert answer.status_code in {302, 422}, answer.status_code


@pytest.mark.parametrize(
    "body, field",
    [
        ('{"task": "x", "kwargs": {"a": {"b": ["", "\\u0000"]}}}', "kwargs.a.b.1"),
        ('{"task": "\\ud800"}', "task"),
        ('{"task": "x", "kwargs": {"a": 1e999}}', "kwargs.a"),
        ('{"task": "x", "kwargs": {"a": NaN}}', "body"),
    ],
)
def test_the_api_names_the_field_of_what_no_database_holds(body: str, field: str, staff: Client) -> None:
    answer = staff.post("/api/jobs", body, content_type="application/json")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("number", ["2.27e-242", "0", "1767225600", "-1", "1_0", "1e9"])
def test_a_number_is_no_time(number: str, staff: Client) -> None:
    answer = staff.get("/api/dead-letters", {"failed_before": number})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "place",
    [
        "0001-01-01T00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "9999-99-99 00:00:00",
        "0001-01-01 00:00:00",
        "2026-01-01T00:00:00",
    ],
)
def test_a_cursor_that_no_page_has_given_out_is_refused(place: str, staff: Client) -> None:
    cursor = base64.urlsafe_b64encode(f"{place}|{uuid.uuid4()}".encode()).decode()
    assert staff.get("/api/jobs", {"cursor": cursor}).status_code in {200, 422}
    assert staff.get("/jobs/list/", {"after": cursor, "q": "error:x"}).status_code in {200, 302}
    assert staff.get("/jobs/dead/list/", {"after": cursor}).status_code in {200, 302}


@pytest.mark.parametrize(
    "wanted, status", [("a" * 55_000, 422), ("a " * 20_000, 422), ("%" * 1_001, 422), ("a " * 500, 200)]
)
def test_the_admin_looks_for_as_much_as_databases_take(wanted: str, status: int, staff: Client) -> None:
    for page in admin.site._registry.values():
        if page.search_fields:
            path = reverse(f"admin:{page.opts.app_label}_{page.opts.model_name}_changelist")
            assert staff.get(path, {"q": wanted}).status_code == status, path


@pytest.mark.parametrize("levels", [80, 400])
def test_a_job_whose_arguments_are_nested_deep_is_shown(levels: int, staff: Client) -> None:
    # A call would refuse 400 levels; a row from an earlier version may have them.
    job_id = written(task=NOTE, args="[" * levels + "1" + "]" * levels).pk
    for path in (f"/jobs/{job_id}/", f"/jobs/{job_id}/json", f"/api/jobs/{job_id}", "/jobs/list/", "/api/jobs"):
        assert staff.get(path).status_code == 200, path
    assert staff.get(f"/admin/jobs/job/{job_id}/change/").status_code == 200


@pytest.mark.postgres_only
@pytest.mark.parametrize("time", ["infinity", "-infinity", "10000-01-01 05:00+00", "0044-03-15 00:00+00 BC"])
def test_no_page_fails_on_a_time_beyond_the_calendar(time: str, staff: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET run_at = %s", [time])
        cursor.execute("SELECT id FROM jobs_job LIMIT 1")
        (job_id,) = cursor.fetchone()
    for path in ("/jobs/", "/jobs/list/", f"/jobs/{job_id}/", "/api/jobs", f"/api/jobs/{job_id}", "/admin/jobs/job/"):
        assert staff.get(path).status_code == 200, path


def test_a_page_says_what_it_refuses(staff: Client) -> None:
    answer = staff.get("/posts/?q=a%00b")
    assert answer.status_code == 422
    assert "q: must not contain the NUL character." in answer.content.decode()


@pytest.mark.parametrize("path", ["/jobs/queues/nowhere/pause", "/api/queues/nowhere/pause"])
def test_a_pause_of_a_queue_that_does_not_exist_makes_none(path: str, staff: Client) -> None:
    assert staff.post(path).status_code == 404
    assert not Queue.objects.exists()
