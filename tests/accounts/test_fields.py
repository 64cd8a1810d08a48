"""Addresses on their way to the database and to the counters of the throttle."""

import time

import pytest
from django.core.exceptions import ValidationError
from django.test import RequestFactory

from accounts.forms import EmailField
from accounts.models import User
from accounts.throttle import LOG_IN

HUGE = ["x" * 9_000_000, "@" * 9_000_000, "jane@" + "\u0660" * 3_000_000, "\u0301" * 3_000_000 + "@example.com"]


@pytest.mark.django_db
@pytest.mark.parametrize("text", HUGE, ids=["letters", "ats", "digits", "marks"])
def test_an_address_of_megabytes_is_done_with_at_once(text: str, rf: RequestFactory) -> None:
    started = time.process_time()
    assert not User.objects.filter(email=text).exists()
    assert LOG_IN.seconds_to_wait(rf.get("/"), text) == 0
    with pytest.raises(ValidationError):
        EmailField().clean(text)
    assert time.process_time() - started < 3


@pytest.mark.parametrize("text", ["=?utf-8?q?a=0d=0asubject=3a_hi?=@attacker.example", "jane\uff20example@example.com"])
def test_a_form_takes_no_address_that_a_mail_could_not_carry(text: str) -> None:
    with pytest.raises(ValidationError, match="not an email address"):
        EmailField().clean(text)


def test_a_form_takes_an_address_at_a_host_with_hyphens_in_third_and_fourth_place() -> None:
    assert EmailField().clean(" Jane@AB--CD.com ") == "jane@ab--cd.com"
