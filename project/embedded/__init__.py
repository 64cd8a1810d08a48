"""The embedded parts: real servers from Python wheels, so that `make up` and the tests need no installed service."""
