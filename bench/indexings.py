"""Enqueues the indexing of posts one by one when told to. A process that `bench.search` starts."""

import sys

import django

django.setup()

from bench.tasks import index_one  # noqa: E402  Tasks can be imported once the apps are loaded.
from jobs.enqueue.dispatcher import flush  # noqa: E402
from posts.models import Post  # noqa: E402
from search.tasks import index_document  # noqa: E402


def main() -> None:
    """Open all connections, wait for the word, enqueue, and end when the broker has everything."""
    task = {"batched": index_document, "one_job_each": index_one}[sys.argv[1]]
    ids = [str(key) for key in Post.objects.values_list("pk", flat=True)[: int(sys.argv[2])]]
    task.delay("post", "00000000-0000-0000-0000-000000000000")
    flush(timeout=30)
    print("ready", flush=True)
    sys.stdin.readline()
    for key in ids:
        task.delay("post", key)
    flush(timeout=120)


if __name__ == "__main__":
    main()
