"""What the tasks that fail raise, alike on each side."""


class Broken(Exception):
    """Raised on purpose."""
