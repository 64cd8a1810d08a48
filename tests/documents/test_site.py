"""`make docs` builds the site, and every link on it leads somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from docsite.links import documents, fitted
from jobs.cli.verbs import VERBS
from jobs.core.states import State
from jobs.tasks.declare import JobOptions

BASE: Path = settings.BASE_DIR


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site; in strict mode a link that leads nowhere, to a page or a heading, is an error."""
    target = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(target)],
        cwd=BASE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return target


def test_every_document_has_its_page(site: Path) -> None:
    inside = [file.relative_to(BASE / "docs").as_posix() for file in (BASE / "docs").rglob("*.md")]
    beside = ["index.md" if one == "README.md" else f"about/{one}" for one in documents()]
    pages = [page.removesuffix(".md") + ".html" for page in (*inside, *beside)]
    assert [page for page in pages if not (site / page.replace("README.html", "index.html")).exists()] == []


def test_the_reference_names_every_option_state_and_command(site: Path) -> None:
    options, states, commands = (
        (site / "reference" / f"{name}.html").read_text() for name in ("options", "states", "commands")
    )
    assert [name for name in JobOptions.__annotations__ if f"<code>{name}</code>" not in options] == []
    assert [state for state in State if f"<code>{state}</code>" not in states] == []
    assert [verb.names for verb in VERBS if f"<code>jobs {' '.join(verb.names)}</code>" not in commands] == []


def test_the_steps_of_a_document_are_one_list_on_its_page(site: Path) -> None:
    # The forge takes a block of code into a step where the site, which wants four blanks before it, begins a new list.
    for file in sorted((BASE / "docs").rglob("*.md")):
        first_steps = re.findall(r"^1\. ", file.read_text(), re.MULTILINE)
        page = site / file.relative_to(BASE / "docs").with_suffix(".html")
        assert page.read_text().count("<ol>") == len(first_steps), file.name


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    page = (site / "index.html").read_text()
    loaded = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?://[^"]+)"', page)
    assert loaded == []


@pytest.mark.parametrize(
    "text,page,expected",
    [
        ("[a](docs/api.md#tokens)", "index.md", "[a](api.md#tokens)"),
        ("[a](../README.md)", "api.md", "[a](index.md)"),
        ("[a](../../Procfile)", "how-to/heroku.md", "a"),
        ("[`a`](../../deploy/kubernetes/)", "how-to/kubernetes.md", "`a`"),
        ("[a](../tasks.md)", "how-to/upgrade.md", "[a](../tasks.md)"),
        ("[a](../bench/RESULTS.md)", "cost.md", "[a](about/bench/RESULTS.md)"),
        ("![a](docs/screenshots/job.png)", "index.md", "![a](screenshots/job.png)"),
        ("[a](https://example.com/b.md) [b](#c)", "api.md", "[a](https://example.com/b.md) [b](#c)"),
        ("```\n[a](../Procfile)\n```\n[a](../Procfile)", "api.md", "```\n[a](../Procfile)\n```\na"),
    ],
)
def test_links_hold_on_the_site_as_on_the_forge(text: str, page: str, expected: str) -> None:
    assert fitted(text, page) == expected
