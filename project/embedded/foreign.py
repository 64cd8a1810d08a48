"""What programs that are not ours get of our environment: what any program needs, and nothing of our settings."""

import os
from collections.abc import Mapping

#: Everything else is left out: a server may take a variable of ours for one of its own. SeaweedFS reads each of its
#: flags from the environment, so that `DEBUG=true` opened its profiler to the network.
_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG", "LC_ALL", "LD_LIBRARY_PATH")


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of such a program, with the variables that are meant for it."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ} | dict(own)
