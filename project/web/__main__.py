"""`python -m project.web`: serve the site with uvicorn, within bounds.

uvicorn reads one more thing from the environment: WEB_CONCURRENCY (processes).
"""

import argparse
import os
import resource
import sys

import uvicorn
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from project.web.protocol import BoundedProtocol

#: Descriptors that a web process needs besides those of its connections: database, broker, files.
_OWN_DESCRIPTORS = 64


def main() -> None:
    """Serve until told to stop."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    options = _options()
    try:
        most, proxies = settings.WEB_MAX_CONNECTIONS, settings.FORWARDED_ALLOW_IPS
    except ImproperlyConfigured as exc:
        sys.exit(str(exc))
    uvicorn.run(
        "project.asgi:application",
        host=options.host,
        port=options.port,
        http=BoundedProtocol,
        ws="none",
        forwarded_allow_ips=proxies or "127.0.0.1",
        limit_concurrency=min(most, _descriptors() - _OWN_DESCRIPTORS),
        timeout_graceful_shutdown=options.graceful_seconds,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m project.web", description="Serve the site.")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="the port to listen on (default: %(default)s)")
    parser.add_argument(
        "--graceful-seconds",
        type=int,
        default=20,
        help="how long open requests may take when it is told to stop (default: %(default)s)",
    )
    return parser.parse_args()


def _descriptors() -> int:
    """Return how many files and connections this process may have open, having asked for as many as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return sys.maxsize
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        # macOS promises more than it gives.
        return soft
    return hard


if __name__ == "__main__":
    main()
