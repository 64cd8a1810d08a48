"""The documents name what is there: files, targets, variables, words."""

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.docs import rooms

BASE = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*BASE.glob("*.md"), *(BASE / "docs").glob("**/*.md")])

#: In their order (https://keepachangelog.com/en/1.1.0/).
KINDS_OF_CHANGES = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")

MODULE = re.compile(r"(?<![\w./-])[a-z_]+(?:/[a-z_0-9]+)+\.py\b")
ROOM = re.compile(r"\b([a-z_]+)/(?= |`)")
LINK = re.compile(r"\[[^\]]+\]\((?!https?://|#)([^)#]+)[^)]*\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    links = LINK.findall(document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize(
    "document", [one for one in DOCUMENTS if one.name != "CHANGELOG.md"], ids=lambda path: path.name
)
def test_modules_are_where_they_are_said_to_be(document: Path) -> None:
    named = set(MODULE.findall(document.read_text()))
    # What its reader writes is not there.
    named -= {one for one in named if document.name == "tutorial.md" and one.startswith("shop/")}
    assert [one for one in sorted(named) if not any((base / one).exists() for base in (BASE, BASE / "jobs"))] == []


def test_the_engines_rooms_are_listed_in_their_order() -> None:
    table = (BASE / "ARCHITECTURE.md").read_text().partition("| room |")[2]
    listed = [
        room for row in re.findall(r"^\| `([a-z_/ ]+)` \|", table, re.MULTILINE) for room in ROOM.findall(row + " ")
    ]
    there = {file.parent.name for file in (BASE / "jobs").glob("*/__init__.py")} - set(rooms.DJANGOS)
    assert set(listed) == there
    assert [room for room in listed if room in rooms.ROOMS] == [room for room in rooms.ROOMS if room in there]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_targets_in_code_are_in_the_makefile(document: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (BASE / "Makefile").read_text(), re.MULTILINE))
    code = re.findall(r"```[a-z]*\n(.*?)```|`([^`]+)`", document.read_text(), re.DOTALL)
    named = {target for parts in code for target in re.findall(r"(?:^|\s)make ([a-z]+)", "".join(parts))}
    assert named - targets == set()


def test_every_target_is_explained() -> None:
    makefile = (BASE / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony is not None
    explained = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))
    assert explained == set(phony[1].split())


def test_the_changelog_begins_with_what_is_to_come() -> None:
    versions = re.findall(r"^## (.+)$", (BASE / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == "Unreleased"


def test_the_changelog_tells_each_thing_once_under_the_headings_of_its_kind() -> None:
    for version in re.split(r"^## ", (BASE / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[1:]:
        headings = re.findall(r"^### (.+)$", version, re.MULTILINE)
        assert headings == [one for one in KINDS_OF_CHANGES if one in headings]
        beginnings = re.findall(r"^- (.{30})", version, re.MULTILINE)
        assert [one for one, times in Counter(beginnings).items() if times > 1] == []


QUEUES = ("default", "email", "indexing", "storage", "maintenance")


def test_the_procfile_names_every_process() -> None:
    names = re.findall(r"^([a-z_]+): ", (BASE / "Procfile").read_text(), re.MULTILINE)
    assert names == ["release", "web", *(f"worker_{queue}" for queue in QUEUES), "beat", "flower"]


def test_no_document_names_a_place_on_somebodys_machine() -> None:
    places = re.compile(r"/(?:home|root|Users|work)/\S*")
    found = {path.name: places.findall(path.read_text()) for path in DOCUMENTS}
    assert {name: paths for name, paths in found.items() if paths} == {}
