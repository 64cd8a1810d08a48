"""The house rules that a linter does not know: each takes a file and returns what breaks the rule, line by line."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jobs

#: Who may import whom, besides itself. `project` puts the house together, and nobody leans on it.
MAY_IMPORT = {
    "jobs": set(),
    "mail": {"jobs"},
    "notify": {"jobs"},
    "search": {"jobs"},
    "storage": {"jobs"},
    "accounts": {"jobs", "mail", "notify", "search", "storage"},
    "posts": {"jobs", "mail", "notify", "search", "storage", "accounts"},
    "project": {"jobs", "mail", "notify", "search", "storage", "accounts", "posts"},
}
APPS = frozenset(MAY_IMPORT)

#: What an app may import of the engine.
PUBLIC_MODULES_OF_JOBS = frozenset({"jobs", "jobs.models"})
PUBLIC_NAMES_OF_JOBS = frozenset({*jobs.__all__, "models"})

#: Where `Job.state` is written.
LEDGER = "jobs/ledger/"

WRITING_METHODS = frozenset({"update", "create", "get_or_create", "update_or_create", "aupdate", "acreate"})
STATE_IN_SQL = re.compile(r"\bUPDATE\s+(\"?jobs_job\"?|\{\w+\})[\s\S]*\bSET\b[\s\S]*\bstate\s*=", re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """A file of the project."""

    path: str
    tree: ast.Module

    @classmethod
    def read(cls, base: Path, file: Path) -> "Source":
        """Read and parse a file."""
        return cls(str(file.relative_to(base)), ast.parse(file.read_text()))

    @property
    def app(self) -> str:
        """The package it belongs to."""
        return self.path.partition("/")[0]

    def at(self, node: ast.AST, what: str) -> str:
        """Describe what is wrong where."""
        return f"{self.path}:{getattr(node, 'lineno', 0)}: {what}"


def imports(source: Source) -> Iterator[tuple[ast.AST, str]]:
    """Yield every module that a file imports, at its top or in a function."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # `from jobs import models` imports a module, `from jobs import job` a name: both are told by their path.
            yield from ((node, node.module) for _ in node.names[:1])


def imports_run_one_way(source: Source) -> list[str]:
    """Apps import only what lies below them, and nobody imports `project`."""
    allowed = MAY_IMPORT.get(source.app, APPS)
    return [
        source.at(node, f"{source.app} may not import {module}")
        for node, module in imports(source)
        if (app := module.partition(".")[0]) in APPS and app != source.app and app not in allowed
    ]


def jobs_is_used_by_its_public_names(source: Source) -> list[str]:
    """Apps other than the engine import `jobs` and `jobs.models` of it, and nothing inside."""
    if source.app in {"jobs", "project"}:
        return []
    named = (
        (node, f"jobs.{name.name}")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ImportFrom) and node.module == "jobs"
        for name in node.names
        if name.name not in PUBLIC_NAMES_OF_JOBS
    )
    inside = (
        (node, module)
        for node, module in imports(source)
        if module.partition(".")[0] == "jobs" and module not in PUBLIC_MODULES_OF_JOBS
    )
    return [
        source.at(node, f"{module} is not public: use what `from jobs import …` offers, or jobs.models")
        for node, module in (*named, *inside)
    ]


def state_is_written_in_the_ledger(source: Source) -> list[str]:
    """`Job.state` is assigned, updated and set by SQL in the ledger only."""
    if source.path.startswith(LEDGER):
        return []
    return [
        source.at(node, "writes a state outside the ledger") for node in ast.walk(source.tree) if _writes_state(node)
    ]


def _writes_state(node: ast.AST) -> bool:
    match node:
        case ast.Assign(targets=targets):
            return any(isinstance(target, ast.Attribute) and target.attr == "state" for target in targets)
        case ast.AnnAssign(target=ast.Attribute(attr="state")) | ast.AugAssign(target=ast.Attribute(attr="state")):
            return True
        case ast.Call(func=ast.Attribute(attr=method), keywords=keywords) if method in WRITING_METHODS:
            return any(keyword.arg == "state" for keyword in keywords)
        case ast.Constant(value=str(text)):
            return bool(STATE_IN_SQL.search(text))
        case ast.JoinedStr():
            return bool(STATE_IN_SQL.search(ast.unparse(node)))
    return False


def tests_wait_in_one_place(source: Source) -> list[str]:
    """Tests wait for conditions (`tests.waiting`); only what plays a slow task, or another's part, sleeps."""
    return [
        source.at(node, "sleeps: use tests.waiting.wait_for")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"time.sleep", "sleep"}
    ]
