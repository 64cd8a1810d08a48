"""Free ports for servers that are stopped and started again on the same one."""

import random

from project.embedded.ports import is_taken

#: Below the range from which systems take the local end of outgoing connections: else, while a server is
#: down, a client trying to reconnect may be given the server's own port, and the server cannot come back.
FIRST, LAST = 15_000, 30_000

# Not the global generator: that one is seeded alike in every test, and would propose the same ports again.
_random = random.SystemRandom()
_given: set[int] = set()


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 on which nothing listens, never the same one twice."""
    while True:
        port = _random.randint(FIRST, LAST)
        if port not in _given and not is_taken(port):
            _given.add(port)
            return port
