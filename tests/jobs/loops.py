"""A worker's event loop for tests, turned by the test itself."""

from kombu.asynchronous import Hub


def turns(hub: Hub) -> bool:
    """Turn a loop once, which takes a moment where nothing happens. Returns true, for conditions to be waited for."""
    hub.call_later(0.01, lambda: None)
    hub.run_once()
    return True
