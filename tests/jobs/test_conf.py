"""The engine's settings: defaults, and values it cannot use refused by name, value and rule."""

import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest
from django.conf import settings
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured

from jobs.conf import JobsConf, conf


@pytest.fixture(autouse=True)
def read_anew() -> Iterator[None]:
    """Have the settings read in this test, and again in the next."""
    conf.cache_clear()
    yield
    conf.cache_clear()


def test_the_defaults_are_those_of_the_design() -> None:
    default = JobsConf()
    assert (default.lease_seconds, default.lease_renew_seconds) == (30, 10)
    assert (default.max_worker_losses, default.max_message_bytes) == (3, 256 * 1024)


def test_the_projects_settings_have_the_same_defaults() -> None:
    for field in fields(JobsConf):
        given = getattr(settings, f"JOBS_{field.name.upper()}", field.default)
        assert given == field.default, field.name


@pytest.mark.parametrize("name", [field.name for field in fields(JobsConf)])
@pytest.mark.parametrize("value", [0, -1, "10", None, True], ids=repr)
def test_a_value_it_cannot_use_is_refused(name: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = f"JOBS_{name.upper()}"
    monkeypatch.setattr(settings, setting, value, raising=False)
    words = f"{setting}={re.escape(repr(value))} is not valid: it must be a number above zero"
    with pytest.raises(ImproperlyConfigured, match=words):
        conf()
    assert [error.id for error in run_checks(tags=["jobs"])] == ["jobs.E001"]


def test_a_lease_must_outlive_a_missed_renewal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "JOBS_LEASE_SECONDS", 15, raising=False)
    monkeypatch.setattr(settings, "JOBS_LEASE_RENEW_SECONDS", 8, raising=False)
    with pytest.raises(ImproperlyConfigured, match=r"JOBS_LEASE_RENEW_SECONDS=8 .*at most half of JOBS_LEASE_SECONDS"):
        conf()
