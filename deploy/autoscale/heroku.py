# ruff: noqa: INP001 (a script alone, not a package)
"""Sets how many dynos of one process type run, by the load of a queue. To be run every minute; needs Python alone.

NIGHTSHIFT_URL=https://nightshift.example.com NIGHTSHIFT_TOKEN=nst_… HEROKU_API_KEY=… HEROKU_APP=nightshift \
    python deploy/autoscale/heroku.py email worker_email --concurrency 8 --least 1 --most 10

It goes up at once, and down by one dyno a time: a dyno that stops hands back what it cannot finish.
"""

import argparse
import json
import math
import os
import urllib.request
from typing import Any

#: How long a request may take, in seconds.
SECONDS = 20


def main() -> None:
    """Read the load, compare it with the formation, and change that where they differ."""
    options = _options()
    heroku = os.environ.get("HEROKU_API_URL", "https://api.heroku.com")
    formation = f"{heroku}/apps/{os.environ['HEROKU_APP']}/formation/{options.process}"
    key = os.environ["HEROKU_API_KEY"]
    load = _asked(f"{os.environ['NIGHTSHIFT_URL']}/api/queues/{options.queue}/load", os.environ["NIGHTSHIFT_TOKEN"])
    present = _asked(formation, key)["quantity"]
    wanted = min(max(math.ceil(load["slots_wanted"] / options.concurrency), options.least), options.most)
    quantity = max(wanted, present - 1)
    if quantity != present:
        _asked(formation, key, {"quantity": quantity})
    print(f"{options.process}: {present} -> {quantity} ({load['slots_wanted']} slots wanted, {load['waiting']} wait)")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("queue")
    parser.add_argument("process", help="the process type in the Procfile")
    parser.add_argument("--concurrency", type=int, required=True, help="jobs that one dyno runs at once")
    parser.add_argument("--least", type=int, default=1)
    parser.add_argument("--most", type=int, default=10)
    return parser.parse_args()


def _asked(url: str, token: str, change: dict[str, Any] | None = None) -> Any:
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.heroku+json; version=3, application/json"}
    body = None if change is None else json.dumps(change).encode()
    if body is not None:
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(url, body, headers, method="GET" if body is None else "PATCH")  # noqa: S310  (of the environment)
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
        return json.load(answer)


if __name__ == "__main__":
    main()
