"""The order of the engine's rooms, the packages in `jobs/`: each imports only those that stand before it."""

import ast
from collections.abc import Iterator

from tests.docs.rules import Source

ROOMS = (
    "core",
    "models",
    "ledger",
    "tasks",
    "enqueue",
    "flow",
    "schedules",
    "webhooks",
    "compose",
    "brokers",
    "deadletters",
    "worker",
    "maintenance",
    "operations",
    "reports",
    "alerts",
    # The tags are Django's package; how every page shows states and numbers, the admin's too.
    "templatetags",
)

#: They come last, and none imports another.
INTERFACES = frozenset(
    {"api", "events", "dashboard", "admin", "cli", "metrics", "observability", "testing", "django_tasks"}
)

#: Packages whose names Django fixes, and the rooms they belong to.
DJANGOS = {"management": "cli", "migrations": "models"}

#: Modules that stand before all rooms but `core`.
FOR_ALL = frozenset({"conf", "errors"})

#: Modules that put the rooms together. They may import all, and no room imports them.
WIRING = frozenset({"__init__", "apps", "celery", "checks"})

#: Imports against the order, each with its reason.
EXCEPTIONS: dict[tuple[str, str], str] = {}


def rooms_stand_in_their_order(source: Source) -> list[str]:
    """A room of the engine imports only those before it; annotations and imports in functions count too."""
    return [
        source.at(node, f"{_room(importer)} may not import {module}, which stands in {_room(module)}")
        for node, importer, module in against_the_order(source)
        if (importer, module) not in EXCEPTIONS
    ]


def against_the_order(source: Source) -> Iterator[tuple[ast.AST, str, str]]:
    """Yield the imports of a file against the order, exceptions included: where, by whom, of what."""
    if source.app != "jobs":
        return
    importer = source.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    for node, module in _imported(source):
        if not _may_import(_room(importer), _room(module)):
            yield node, importer, module


def _room(module: str) -> str:
    """Return the room of a module; for one at the root of `jobs` its own name."""
    name = module.split(".")[1] if "." in module else "__init__"
    return DJANGOS.get(name, name)


def _may_import(room: str, other: str) -> bool:
    if room == other or room in WIRING:
        return True
    if room in FOR_ALL:
        return other == "core"
    if other in FOR_ALL:
        return True
    if other not in ROOMS:
        return False
    return room in INTERFACES or (room in ROOMS and ROOMS.index(other) < ROOMS.index(room))


def _imported(source: Source) -> Iterator[tuple[ast.AST, str]]:
    """Yield the engine's modules that a file imports."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "jobs":
            names = [f"jobs.{name.name}" for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        yield from ((node, name) for name in names if name.partition(".")[0] == "jobs")
