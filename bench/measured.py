"""`python -m bench.measured MODULE:FUNCTION`: run one function of ours in a process of its own, print what it took.

Peak memory is the process's own, which nothing before or after can have raised. Linux only.
"""

import json
import sys
import time
from importlib import import_module
from pathlib import Path

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
    json.dump({"seconds": seconds, "before": before / 1e6, "peak": peak() / 1e6, "result": result}, sys.stdout)


def peak() -> int:
    """Return the most bytes this process had in memory.

    `getrusage` would begin with what the parent had when it forked; the kernel's own mark begins with `exec`.
    """
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
