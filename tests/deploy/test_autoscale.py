"""The examples for autoscalers ask for what the API answers."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.api.schemas.queues import LoadOut

AUTOSCALE = Path(__file__).resolve().parents[2] / "deploy" / "autoscale"


class Servers:
    """Nightshift and Heroku behind one port: what one wants, and what the other runs."""

    def __init__(self) -> None:
        self.slots_wanted, self.quantity = 0, 1
        self.changes: list[int] = []
        self.tokens: set[tuple[str, str]] = set()
        handler = type("Handler", (_Handler,), {"owner": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)

    def run(self, *options: str) -> None:
        """Run the script once."""
        url = f"http://127.0.0.1:{self.server.server_port}"
        variables = {"NIGHTSHIFT_URL": url, "NIGHTSHIFT_TOKEN": "nst_x", "HEROKU_API_URL": url, "HEROKU_API_KEY": "h"}
        command = [
            sys.executable,
            str(AUTOSCALE / "heroku.py"),
            "email",
            "worker_email",
            "--concurrency",
            "8",
            *options,
        ]
        environment = {**os.environ, **variables, "HEROKU_APP": "nightshift"}
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)


class _Handler(BaseHTTPRequestHandler):
    owner: Servers

    def do_GET(self) -> None:
        self.owner.tokens.add((self.path, self.headers["Authorization"]))
        if self.path == "/api/queues/email/load":
            self._answer({"slots_wanted": self.owner.slots_wanted, "waiting": 3})
        else:
            self._answer({"quantity": self.owner.quantity})

    def do_PATCH(self) -> None:
        change = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.owner.quantity = change["quantity"]
        self.owner.changes.append(change["quantity"])
        self._answer(change)

    def _answer(self, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def servers() -> Iterator[Servers]:
    """Both of them."""
    both = Servers()
    threading.Thread(target=both.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield both
    both.server.shutdown()
    both.server.server_close()


def test_the_formation_goes_up_at_once_and_down_one_by_one(servers: Servers) -> None:
    for wanted, most in ((33, "10"), (33, "10"), (8, "10"), (500, "6"), (0, "10")):
        servers.slots_wanted = wanted
        servers.run("--most", most)
    assert servers.changes == [5, 4, 6, 5]
    assert servers.tokens == {
        ("/api/queues/email/load", "Bearer nst_x"),
        ("/apps/nightshift/formation/worker_email", "Bearer h"),
    }


def test_keda_asks_for_a_value_that_there_is() -> None:
    _, scaled = yaml.safe_load_all((AUTOSCALE / "keda.yml").read_text())
    metadata = scaled["spec"]["triggers"][0]["metadata"]
    assert metadata["url"].endswith("/api/queues/email/load")
    assert metadata["valueLocation"] in LoadOut.model_fields
