"""`docs/brokers.md` names tests, and they exist."""

import re
from pathlib import Path

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs" / "brokers.md"


def test_every_test_that_the_document_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", DOCUMENT.read_text()))
    files = "".join(file.read_text() for file in HERE.glob("test_*.py"))
    written = set(re.findall(r"^def (test_\w+)", files, re.MULTILINE))
    assert named
    assert named - written == set()


def test_every_row_of_the_table_names_its_tests() -> None:
    text = DOCUMENT.read_text()
    rows = set(re.findall(r"\[(\d+)\] \|", text))
    notes = {number for number, _ in re.findall(r"^(\d+)\. .*?(`test_)", text, re.MULTILINE)}
    assert rows
    assert rows == notes
