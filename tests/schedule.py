"""Which tests one process of `tests/all` runs together, and which come first."""

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent

#: Their tests start processes, kill them and wait, for seconds each: begun last, they would be waited for.
SLOW = ("acceptance", "bench", "browser", "brokers", "chaos", "deploy", "documents", "project", "typing")

#: Servers that take many seconds of a processor to start, by what tests ask for: enough that one process has each.
HEAVY = {"rabbitmq_node": "rabbitmq", "seaweedfs": "seaweedfs", "stores": "seaweedfs", "browser": "browser"}


ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_objects: dict[str, int] = {}


def pytest_itemcollected(item: pytest.Item) -> None:
    """Number the objects whose addresses stand in tests' ids: each process has them elsewhere, and all must agree."""
    _rename(item, ADDRESS.sub(lambda found: f" {_objects.setdefault(found[0], len(_objects) + 1)}", item.nodeid))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the tests that take long, and say in their ids which belong together, where pytest-xdist looks for it.

    Its own mark for that does nothing: pytest 9 has the ids elsewhere than pytest-xdist 3.8 writes them.
    """
    items.sort(key=is_quick)
    if hasattr(config, "workerinput"):
        for item in items:
            if (name := group(item)) is not None:
                _rename(item, f"{item.nodeid}@{name}")


def _rename(item: pytest.Item, nodeid: str) -> None:
    item._id = type(item.id).parse(nodeid)


def group(item: pytest.Item) -> str | None:
    """Return the name of the tests that run where this one runs; None for a test that may run anywhere.

    It is that of the heavy server they use, or of the fixture, and its parameter, that several tests share.
    """
    if not isinstance(item, pytest.Function):
        return None
    parameters: dict[str, object] = dict(item.callspec.params) if hasattr(item, "callspec") else {}
    for name, server in HEAVY.items():
        if name in item.fixturenames or server in parameters.values():
            return server
    shared = [
        fixture.argname
        for name in item.fixturenames
        for fixture in item._fixtureinfo.name2fixturedefs.get(name, ())
        if fixture.scope in {"module", "package"}
    ]
    if not shared:
        return None
    return "-".join(
        [str(item.path.relative_to(HERE)), *(str(parameters[name]) for name in shared if name in parameters)]
    )


def is_quick(item: pytest.Item) -> bool:
    """Return whether a test is none of those that take long."""
    return item.path.relative_to(HERE).parts[0] not in SLOW
