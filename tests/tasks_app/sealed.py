"""Tasks whose arguments nobody reads without a key."""

import hashlib
import logging
from pathlib import Path
from typing import Any

from celery import shared_task

from jobs import Permanent, each, job, step
from tests.tasks_app.effects import record


def digest(text: str) -> str:
    """Return what proves that a text was read, and does not tell it."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@job(
    name="tests.sealed",
    encrypt=True,
    ignore_result=False,
    unique="{how} {secret}",
    key="secret",
    tenant="secret",
    concurrency=100,
    max_retries=1,
    retry_backoff=0.05,
    retry_jitter=False,
)
def sealed(how: str, secret: str, more: Any = None) -> str:
    """Read its secret, in every way in which a task may tell it."""
    logging.getLogger("tests.sealed").info("I was told %s", secret)
    kept = step("read", str.upper, secret).lower()
    for _ in each("parts", secret.split("-"), cursor=lambda part: part, every=0):
        pass
    record(f"{how} {digest(kept)}")
    if how == "dead":
        raise Permanent(f"nobody has {secret}")
    if how == "fail":
        raise ValueError(f"not {secret}")
    return secret


@job(name="tests.sealed.collect", encrypt=True, max_retries=0)
def collect(results: list[str], secret: str) -> None:
    """Take what others returned, and a secret of its own."""
    record(f"collected {len(results)} {digest(secret)} {digest(results[0])}")


@job(name="tests.sealed.first", ignore_result=False)
def first(word: str) -> str:
    """Return what the job after it takes in front of its own arguments."""
    return word


@job(name="tests.sealed.told", encrypt=True, max_retries=0)
def told(request: Any, error: BaseException, traceback: Any, secret: str) -> None:
    """Be an error link with a secret, which Celery calls in place."""
    record(f"told {digest(secret)}")


@shared_task(name="tests.sealed.plain")  # type: ignore[untyped-decorator]
def plain(gate: str) -> str:
    """Do nothing: a plain task."""
    return Path(gate).name
