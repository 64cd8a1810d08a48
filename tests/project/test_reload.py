"""What `make up` takes for a change of the code."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from project import templates
from project.embedded.reload import Watcher
from tests.waiting import wait_for


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A checkout, in a folder that has a name of a folder with code."""
    base = tmp_path / "templates"
    (base / "shop" / "templates").mkdir(parents=True)
    return base


@pytest.fixture
def watcher(base: Path) -> Iterator[Watcher]:
    watcher = Watcher(base)
    watcher.start()
    assert noticed(watcher, base / "shop" / "begin.py")
    yield watcher
    watcher.stop()


def noticed(watcher: Watcher, path: Path) -> set[Path]:
    """Write a file until its change is noticed; return all that changed."""
    seen: set[Path] = set()

    def look() -> bool:
        path.write_text(path.read_text() + "\n" if path.exists() else "")
        seen.update(watcher.changes())
        return path in seen

    wait_for(look)
    return seen


def test_what_editors_and_python_leave_beside_code_is_no_change(watcher: Watcher, base: Path) -> None:
    shop = base / "shop"
    for name in (".#tasks.py", "flycheck_tasks.py", "tasks.py~", "tasks.pyc", "notes.txt", "templates/.list.html.swp"):
        (shop / name).write_text("")
    seen = {*noticed(watcher, shop / "tasks.py"), *noticed(watcher, shop / "templates" / "list.html")}
    assert seen - {shop / "begin.py"} == {shop / "tasks.py", shop / "templates" / "list.html"}


def test_an_app_that_came_with_a_change_is_watched_from_then_on(watcher: Watcher, base: Path) -> None:
    (base / "blog").mkdir()
    noticed(watcher, base / "shop" / "settings.py")
    assert noticed(watcher, base / "blog" / "tasks.py")


def test_what_an_editor_keeps_beside_a_template_is_none(tmp_path: Path, settings: Settings) -> None:
    settings.BASE_DIR = tmp_path
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    (tmp_path / ".list.html.swp").write_bytes(b"b0VIM\xff")
    (tmp_path / "list.html~").write_text("{% half")
    (tmp_path / "list.html").write_text("{% nonsense %}")
    assert [problem.partition(":")[0] for problem in templates.load_all()] == ["list.html"]
