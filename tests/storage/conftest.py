"""What these tests can ask for."""

from tests.storage.stores import in_use, stores

__all__ = ["in_use", "stores"]
