"""What `bench.ledger` asks, and how long each answer takes."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

#: How often each is asked.
TIMES = 20


@dataclass(frozen=True, slots=True)
class Case:
    """One request.

    Attributes:
        query: of the API's list, or of the dashboard's search line.
        dashboard: whether it is the dashboard that is asked.
    """

    title: str
    query: str = ""
    dashboard: bool = False


CASES = (
    Case("API: the newest"),
    Case("API: a page far down", "cursor={cursor}"),
    Case("API: dead jobs", "state=dead"),
    Case("API: scheduled jobs", "state=scheduled"),
    Case("API: a queue", "queue=email"),
    Case("API: a task that nobody enqueued", "task=nobody"),
    Case("API: one correlation id", "correlation_id=3a7f22f8f3c5d6a1e1ab2b4a6fd21a5a"),
    Case("API: text in many errors", "q=timeout"),
    Case("API: text in few arguments", "q=49123"),
    Case("API: text that is nowhere", "q=nowhere"),
    Case("API: text that is nowhere, among dead jobs", "q=nowhere&state=dead"),
    Case("Dashboard: the newest", dashboard=True),
    Case("Dashboard: dead jobs", "state:dead", dashboard=True),
    Case("Dashboard: a task", "task:mail.send", dashboard=True),
    Case("Dashboard: an argument", "kwargs.user_id:49123", dashboard=True),
    Case("Dashboard: an error", "error:timeout", dashboard=True),
    Case("Dashboard: an error that is nowhere", "error:nowhere", dashboard=True),
    Case("Dashboard: text that is nowhere", "nowhere", dashboard=True),
)


def ask_everything() -> str:
    """Return, as JSON, for each case: seconds, rows, and how many days it looked back where that was not all."""
    from django.conf import settings  # noqa: PLC0415  Django is ready only now.
    from django.contrib.auth import get_user_model  # noqa: PLC0415
    from django.test import Client  # noqa: PLC0415
    from django.test.utils import setup_test_environment  # noqa: PLC0415

    from jobs.operations import tokens  # noqa: PLC0415

    setup_test_environment(debug=False)
    # Nobody has collected the files that production serves.
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}
    token = tokens.create("bench", ["read"], by="bench")[1]
    program = Client(headers={"authorization": f"Bearer {token}", "host": "localhost"})
    person = Client(headers={"host": "localhost"})
    person.force_login(get_user_model().objects.create_superuser("bench@localhost", "bench"))
    cursor = _cursor_in_the_middle()

    def ask(case: Case) -> Any:
        if case.dashboard:
            return person.get("/jobs/list/", {"q": case.query})
        return program.get("/api/jobs?" + case.query.format(cursor=cursor))

    return json.dumps([_asked(lambda case=case: ask(case)) for case in CASES])  # type: ignore[misc]


def _cursor_in_the_middle() -> str:
    from jobs.models import Job  # noqa: PLC0415
    from jobs.operations import paging  # noqa: PLC0415

    return paging.mark(Job.objects.all(), "created_at", cursor="", offset=Job.objects.count() // 2) or ""


def _asked(ask: Callable[[], Any]) -> dict[str, Any]:
    response, seconds = ask(), []
    for _ in range(TIMES):
        began = time.perf_counter()
        response = ask()
        seconds.append(time.perf_counter() - began)
    assert response.status_code == 200, response.content
    rows, reached = _shown(response)
    return {"seconds": seconds, "rows": rows, "days": reached and (time.time() - reached.timestamp()) / 86_400}


def _shown(response: Any) -> tuple[int, datetime | None]:
    if response["Content-Type"].startswith("application/json"):
        answer = response.json()
        reached = answer["looked_back_to"]
        return len(answer["jobs"]), reached and datetime.fromisoformat(reached)
    listing = response.context["listing"]
    return len(listing.rows), listing.reached
