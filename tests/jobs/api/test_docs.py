"""`/api/docs`: what a browser loads for it, and what the schema says."""

import re

from django.contrib.staticfiles import finders
from django.test import Client

from jobs.events.view import PARAMETERS


def test_the_documentation_is_served_by_this_site_alone() -> None:
    response = Client().get("/api/docs")
    assert response.status_code == 200
    page = response.content.decode()
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert loaded
    for address in loaded:
        assert address.startswith("/static/"), address
        assert finders.find(address.removeprefix("/static/")), address


def test_the_documentation_runs_under_the_sites_policy() -> None:
    response = Client().get("/api/docs")
    assert "'unsafe-inline'" not in response["Content-Security-Policy"]
    page = response.content.decode()
    for attributes, content in re.findall(r"<script([^>]*)>(.*?)</script>", page, re.DOTALL):
        assert not content.strip() or 'type="application/json"' in attributes
    assert "style=" not in page
    assert not re.search(r"\son\w+=", page)


def test_the_schema_names_every_problem() -> None:
    schema = Client().get("/api/openapi.json").json()
    for path in schema["paths"].values():
        for operation in path.values():
            assert {"401", "403", "422", "429"} <= set(operation["responses"])
            assert "application/problem+json" in operation["responses"]["422"]["content"]


def test_the_schema_names_headers_as_clients_send_them() -> None:
    schema = Client().get("/api/openapi.json").json()
    (header,) = schema["paths"]["/api/jobs"]["post"]["parameters"]
    assert (header["in"], header["name"]) == ("header", "Idempotency-Key")


def test_the_schema_tells_of_live_events() -> None:
    schema = Client().get("/api/openapi.json").json()
    operation = schema["paths"]["/api/events"]["get"]
    assert list(operation["responses"]["200"]["content"]) == ["text/event-stream"]
    named = {(one["in"], one["name"]) for one in operation["parameters"]}
    assert named == {("header", "Last-Event-ID"), *(("query", name) for name in PARAMETERS)}
    assert (
        operation["parameters"][0]["schema"]["items"]["$ref"].removeprefix("#/components/schemas/")
        in (schema["components"]["schemas"])
    )
    assert operation["security"] == schema["paths"]["/api/jobs"]["get"]["security"]
