"""The dashboard and the alert rules that are shipped ask for metrics and labels that exist."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml
from django.conf import settings

from jobs.core.states import State
from jobs.metrics.families import families
from tests.jobs.breaker_rows import opened
from tests.jobs.letters import dead_letter
from tests.jobs.rows import in_state
from tests.jobs.worker_rows import worker

pytestmark = pytest.mark.any_database

RULES = Path(settings.BASE_DIR, "deploy/alerts/nightshift.yml")
DASHBOARD = Path(settings.BASE_DIR, "deploy/grafana/nightshift.json")

#: What Grafana puts in before it asks.
VARIABLES = {"$__rate_interval": "5m", "$queue": ".*", "$task": ".*"}


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    for panel in panels():
        for target in panel["targets"]:
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            yield expression


@pytest.fixture
def exposed(db: None) -> dict[str, set[str]]:
    """Every sample's name that `/metrics` may show, with its labels."""
    in_state(State.RUNNING)
    dead_letter()
    opened()
    worker()
    found: dict[str, set[str]] = {}
    suffixes = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}
    for family in families():
        labels = set(getattr(family, "_labelnames", ()))
        for suffix in suffixes[family.type]:
            found[family.name + suffix] = labels | ({"le"} if suffix == "_bucket" else set())
    return found


def selectors(node: Any) -> Iterator[Any]:
    """Return every selector in an expression."""
    if isinstance(node, promql.VectorSelector):
        yield node
    for part in ("expr", "lhs", "rhs", "param", "vector_selector"):
        child = getattr(node, part, None)
        if child is not None and not isinstance(child, (str, int, float)):
            yield from selectors(child)
    for child in getattr(node, "args", None) or ():
        yield from selectors(child)


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_an_expression_asks_for_what_exists(expression: str, exposed: dict[str, set[str]]) -> None:
    found = list(selectors(promql.parse(expression)))
    assert found
    for selector in found:
        assert selector.name in exposed
        assert {matcher.name for matcher in selector.matchers.matchers} <= exposed[selector.name]
    known = set().union(*(exposed[selector.name] for selector in found))
    for labels in re.findall(r"by \(([^)]*)\)", expression):
        assert {label.strip() for label in labels.split(",") if label.strip()} <= known


def test_every_alert_says_what_is_wrong_and_what_to_do() -> None:
    assert len({rule["alert"] for rule in rules()}) == len(rules())
    for rule in rules():
        assert set(rule["annotations"]) == {"summary", "action"}
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}


def test_what_an_alert_names_its_expression_keeps() -> None:
    for rule in rules():
        named = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
        kept = {label.strip() for labels in re.findall(r"by \(([^)]*)\)", rule["expr"]) for label in labels.split(",")}
        # Without an aggregation everything is kept.
        assert not kept or named <= kept, rule["alert"]


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    board = json.loads(DASHBOARD.read_text())
    assert board["title"] == "Nightshift"
    ids = [panel["id"] for panel in panels()]
    assert len(set(ids)) == len(ids)
    for panel in panels():
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_every_metric_is_explained(exposed: dict[str, set[str]]) -> None:
    text = Path(settings.BASE_DIR, "docs/metrics.md").read_text()
    for name in exposed:
        family = re.sub(r"_(bucket|sum|count)$", "", name)
        assert f"`{family}`" in text, family
