"""`python -m bench.measured MODULE:FUNCTION`: run one function of ours in a process of its own, print what it took.

Peak memory is the process's own, which no function before or after can have raised.
"""

import json
import resource
import sys
import time
from importlib import import_module

import django
import psutil


def main() -> None:
    """Import, run, report as JSON: seconds, megabytes before and at the peak, and what the function returned."""
    module, _, name = sys.argv[1].partition(":")
    django.setup()
    function = getattr(import_module(module), name)
    before = psutil.Process().memory_info().rss
    began = time.monotonic()
    result = str(function())
    seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    json.dump({"seconds": seconds, "before": before / 1e6, "peak": peak / 1e6, "result": result}, sys.stdout)


if __name__ == "__main__":
    main()
