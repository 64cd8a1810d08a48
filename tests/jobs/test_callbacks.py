"""Who is called around a body, and that nobody is where nobody listens: that costs more than most bodies."""

from typing import Any

import pytest
from celery.fixups.django import DjangoWorkerFixup
from celery.utils.dispatch import Signal

from jobs.celery import _SetUpOnce
from jobs.worker import sessions
from jobs.worker.callbacks import Listeners
from project.celery import app


@pytest.mark.parametrize("kind", [DjangoWorkerFixup, _SetUpOnce])
def test_who_looks_after_the_connections_of_plain_tasks_is_no_listener(kind: type[DjangoWorkerFixup]) -> None:
    signal, fixup = Signal(), kind(app)
    signal.connect(fixup.on_task_postrun)
    signal.connect(sessions._after_task, dispatch_uid=sessions._UID)

    assert not Listeners(signal)


@pytest.mark.parametrize("weak", [True, False])
def test_whoever_else_wants_to_know_is_a_listener_from_then_on(weak: bool) -> None:
    signal, fixup = Signal(), DjangoWorkerFixup(app)
    signal.connect(fixup.on_task_postrun)
    listeners = Listeners(signal)
    assert not listeners

    def told(**_: Any) -> None:
        """Listen."""

    signal.connect(told, weak=weak)
    assert listeners
    signal.disconnect(told)
    assert not listeners
