"""`python -m bench.streams`: many who listen to live events on one web process; writes STREAMS.md."""

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.servers import Servers, circumstances, scratch
from bench.site import measured

RESULTS = Path(__file__).with_name("STREAMS.md")

#: How many listen, one figure after the other; and how many jobs each of them is told of, how far apart in seconds.
AUDIENCES, JOBS, APART = (1, 100, 500), 60, 0.1

INTRODUCTION = """# Who listens to live events

What `python -m bench.streams`, a part of `make bench`, measured: streams of `/api/events` held open on one web process
(uvicorn), by clients in another process of the same machine. {jobs} jobs are enqueued one by one, every {apart} s. The
latency is from a job's commit until a client has read its event, over all clients and jobs. Memory is what is resident.
"""


def main() -> None:
    """Measure, print and write a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.streams", description=main.__doc__)
    parser.add_argument("--output", default=str(RESULTS), help="where the page goes; empty: nowhere else than here")
    options = parser.parse_args()
    with scratch() as directory, Servers(directory) as servers:
        plenty = {"ALLOWED_HOSTS": "127.0.0.1", "JOBS_API_REQUESTS_PER_MINUTE": "100000"}
        took = json.loads(measured("bench.streams:listen", {**servers.environment(), **plenty}).result)
        page = report(took, servers.versions())
    if options.output:
        Path(options.output).write_text(page)
    print(page)


def report(took: list[dict[str, Any]], versions: Sequence[str]) -> str:
    """Return the page."""
    table = ["| streams | memory MB | latency p50 ms | p99 ms | worst ms |", "|---:|---:|---:|---:|---:|"]
    for figures in took:
        latencies = sorted(figures["latencies"])
        p50, p99 = (latencies[int(len(latencies) * share)] for share in (0.5, 0.99))
        table.append(
            f"| {figures['streams']} | {figures['memory'] / 1e6:.0f} | {p50 * 1000:.0f} | {p99 * 1000:.0f}"
            f" | {latencies[-1] * 1000:.0f} |"
        )
    when = f"{circumstances(versions)}."
    return "\n\n".join([INTRODUCTION.format(jobs=JOBS, apart=APART).strip(), when, "\n".join(table)]) + "\n"


def listen() -> str:
    """Return, as JSON, for each audience: its size, the web process's memory, and every latency in seconds."""
    from jobs.operations import tokens  # noqa: PLC0415  Django is ready only now.
    from tests.jobs.events.server import Web  # noqa: PLC0415

    token = tokens.create("bench", ["read"], by="bench")[1]
    with scratch() as directory:
        web = Web(directory, {})
        try:
            web.wait_until_ready()
            return json.dumps([asyncio.run(_told(web, token, size)) for size in AUDIENCES])
        finally:
            web.stop()


async def _told(web: Any, token: str, size: int) -> dict[str, Any]:
    from jobs.ledger import enqueue_once  # noqa: PLC0415
    from tests.jobs.events.server import Audience, write  # noqa: PLC0415
    from tests.jobs.rows import new_job  # noqa: PLC0415

    audience = Audience(web, token)
    clients: list[Any] = []
    committed: dict[str, float] = {}
    try:
        while len(clients) < size:
            clients += await asyncio.gather(*(audience.open() for _ in range(min(10, size - len(clients)))))
        for _ in range(JOBS):
            job = new_job()
            await write(enqueue_once.write, job)
            committed[str(job.id)] = time.time()
            await asyncio.sleep(APART)
        for client in clients:
            for job_id in committed:
                await client.told(job_id, "queued", 60)
        latencies = [client.came[job_id, "queued"] - at for client in clients for job_id, at in committed.items()]
        return {"streams": size, "memory": web.memory, "latencies": latencies}
    finally:
        await audience.leave()


if __name__ == "__main__":
    main()
