"""Runs every example against stand-ins for what belongs to others: `EXTRA_APPS=examples python -m examples.demo`.

It needs the tables of the examples, and a worker that knows them; README.md says how to get both.
"""

import json
import os
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup()

from examples.image_pipeline import thumbnails  # noqa: E402 (the settings come first)
from examples.models import Endpoint, Order, Product  # noqa: E402
from examples.payment import charge  # noqa: E402
from examples.price_updates import set_price  # noqa: E402
from examples.report import report  # noqa: E402
from examples.webhooks import deliver, signature  # noqa: E402
from jobs.models import Job  # noqa: E402

#: How long to wait for a worker, in seconds; and how many payments are tried until a breaker opens.
PATIENCE = 60.0

#: Takes the headers and the body of a request; returns status and body, or None to say nothing.
Respond = Callable[[Any, bytes], tuple[int, dict[str, str]] | None]


@contextmanager
def stand_in(respond: Respond) -> Iterator[str]:
    """Serve HTTP on this machine; yield the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = respond(self.headers, self.rfile.read(int(self.headers["Content-Length"])))
            if told is None:
                self.close_connection = True
                return
            status, body = told
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def ended(*job_ids: str) -> list[Job]:
    """Wait until jobs have ended; return them in their order. What follows another has no row before that has ended."""
    deadline = time.monotonic() + PATIENCE
    while True:
        jobs = Job.objects.in_bulk(job_ids)
        if sum(job.is_final for job in jobs.values()) == len(job_ids):
            return [jobs[uuid.UUID(job_id)] for job_id in job_ids]
        if time.monotonic() > deadline:
            raise SystemExit(f"No worker has run this within {PATIENCE:g} s. Is there one that knows the examples?")
        time.sleep(0.1)


def payment() -> None:
    """A provider whose answer is lost once, and that refuses a card."""
    taken: Counter[str] = Counter()
    lost: set[str] = set()

    def provider(headers: Any, body: bytes) -> tuple[int, dict[str, str]] | None:
        key, cents = headers["Idempotency-Key"], json.loads(body)["cents"]
        if cents > 100_000:
            return 402, {"error": "card declined"}
        taken[key] = cents
        if key not in lost:
            lost.add(key)
            return None
        return 201, {"id": f"ch_{key[-4:]}"}

    with stand_in(provider) as url:
        good, bad = (Order.objects.create(cents=cents, provider_url=url) for cents in (1_250, 999_999))
        paid, refused = ended(charge.delay(good.pk).id, charge.delay(bad.pk).id)
    good.refresh_from_db()
    charges, kept = list(taken.values()), good.charge_id[:3]
    print(f"payment: {paid.state} after {paid.attempt} attempts; charges: {charges}; kept: {kept}")
    print(f"payment: {refused.state} after {refused.attempt} attempt: {refused.last_error}")


def breaker() -> None:
    """A provider that is away until its breaker opens, and then comes back."""
    away = threading.Event()
    away.set()

    def provider(headers: Any, body: bytes) -> tuple[int, dict[str, str]]:
        return (500 if away.is_set() else 201), {"id": "ch_1"}

    with stand_in(provider) as url:
        ids: list[str] = []
        while not (held := Job.objects.filter(held_by="breaker", attempt=0).count()):
            if len(ids) > PATIENCE:
                raise SystemExit("The breaker did not open.")
            order = Order.objects.create(cents=1, provider_url=url)
            ids.append(charge.delay(order.pk).id)
            time.sleep(1)
        away.clear()
        paid = ended(*ids)
    all_paid = all(job.state == "succeeded" for job in paid)
    print(f"breaker: some were held back without an attempt: {held > 0}; then all were paid: {all_paid}")


def prices() -> None:
    """Two hundred products, and one that is not there."""
    Product.objects.bulk_create([Product(sku=f"P{number}", cents=1) for number in range(200)], ignore_conflicts=True)
    calls = [{"sku": f"P{number}", "cents": 100 + number} for number in range(200)]
    jobs = ended(*(job.id for job in set_price.delay_many([*calls, {"sku": "nowhere", "cents": 1}])))
    total = sum(Product.objects.filter(sku__startswith="P").values_list("cents", flat=True))
    print(f"prices: {dict(Counter(job.state for job in jobs))}; together {total} cents; {jobs[-1].last_error}")


def pipeline() -> None:
    """A picture that lies on its side."""
    from PIL import Image  # noqa: PLC0415 (nothing else here needs it)

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "photo.jpg"
        exif = Image.Exif()
        exif[0x0112] = 6  # Its top is at the right: https://www.cipa.jp/std/documents/e/DC-008-2012_E.pdf
        Image.new("RGB", (1600, 1200), "teal").save(source, exif=exif)
        ended(thumbnails(str(source), 300).id)
        with Image.open(source.with_suffix(".plain.300.jpg")) as small:
            print(f"pipeline: 1600x1200 on its side became {small.width}x{small.height}; exif: {len(small.getexif())}")


def chord() -> None:
    """Five pages, and then some of which one is not there."""
    with tempfile.TemporaryDirectory() as folder:
        pages = [Path(folder) / f"{number}.txt" for number in range(1, 6)]
        for number, page in enumerate(pages, 1):
            page.write_text("word " * number)
        target = Path(folder) / "report.txt"
        ended(report([str(page) for page in pages], str(target)).id)
        print(f"chord: {target.read_text().strip()}")
        other = Path(folder) / "other.txt"
        report([str(pages[0]), str(Path(folder) / "missing.txt")], str(other))
        deadline = time.monotonic() + PATIENCE
        while not (failed := other.with_suffix(".failed")).exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        print(f"chord: report: {other.exists()}; told: {failed.exists()}")


def webhooks() -> None:
    """A receiver that is broken once and checks signatures, and one that is gone."""
    seen: list[bool] = []

    def receiver(headers: Any, body: bytes) -> tuple[int, dict[str, str]]:
        expected = signature("s3cret", headers["X-Timestamp"], body.decode())
        seen.append(headers["X-Signature"] == expected)
        return (500 if len(seen) == 1 else 200), {}

    with stand_in(receiver) as url, stand_in(lambda *_: (410, {})) as gone:
        endpoints = [Endpoint.objects.create(url=one, secret="s3cret") for one in (url, gone)]  # noqa: S106 (a demo)
        taken, refused = ended(*(deliver.delay(one.pk, "order.paid", {"order": 1}).id for one in endpoints))
    active = Endpoint.objects.get(pk=endpoints[1].pk).is_active
    print(f"webhooks: {taken.state} after {taken.attempt} attempts; signatures right: {seen}")
    print(f"webhooks: {refused.state} after {refused.attempt} attempt; still told: {active}")


if __name__ == "__main__":
    for example in (payment, breaker, prices, pipeline, chord, webhooks):
        example()
