"""Logs do not let their readers into accounts."""

import logging

import pytest
from django.test import RequestFactory

from accounts.links import PASSWORD_RESET
from accounts.models import User
from project.logs import JsonFormatter, TextFormatter


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_a_link_is_masked_wherever_it_stands(formatter: logging.Formatter) -> None:
    url = PASSWORD_RESET.url(User(email="alice@example.com", password="x"))
    token = url.rstrip("/").rpartition("/")[2]
    path = url.removeprefix("http://testserver")
    record = logging.LogRecord("uvicorn.access", logging.INFO, "", 0, '%s - "%s %s"', ("::1", "GET", path), None)
    record.request = RequestFactory().get(path)
    line = formatter.format(record)
    assert "/password-reset/…/" in line
    assert token not in line
    assert token.rpartition(".")[2] not in line
