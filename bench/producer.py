"""A process of a variant that enqueues what it is told to."""

import json
import os
import subprocess
from collections.abc import Mapping
from typing import Self, cast

from bench.enqueue import Order, Took
from bench.servers import ROOT
from bench.variants import Variant, VariantFailed


class Producer:
    """Started, and warm, on entering; gone on leaving."""

    def __init__(self, variant: Variant, environment: Mapping[str, str]) -> None:
        self._variant, self._environment = variant, environment
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [self._variant.python, "-m", "bench.enqueue", self._variant.side],
            env={**os.environ, **self._environment},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            # It ends when there are no more orders.
            self._running.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self._running.kill()
            self._running.communicate()

    def enqueue(self, task: str, jobs: int, *, rate: float = 0, at_once: int = 0, fetch: bool = False) -> Took:
        """Have so many jobs enqueued and return what it took. Raises VariantFailed where the process failed."""
        order: Order = {"task": task, "jobs": jobs, "rate": rate, "at_once": at_once, "fetch": fetch}
        assert self._running.stdin is not None
        print(json.dumps(order), file=self._running.stdin, flush=True)
        return self._answer()

    def _answer(self) -> Took:
        assert self._running.stdout is not None
        line = self._running.stdout.readline()
        if not line:
            raise VariantFailed(f"{self._variant.title}: what enqueues ended; what it wrote stands above.")
        return cast("Took", json.loads(line))

    @property
    def _running(self) -> "subprocess.Popen[str]":
        assert self._process is not None, "the producer was not started"
        return self._process
