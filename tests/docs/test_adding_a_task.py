"""docs/adding-a-task.md quotes the code as it is."""

import re
from pathlib import Path

import pytest

BASE = Path(__file__).resolve().parents[2]
QUOTED = re.findall(r"```python\n# (\S+\.py)\n(.*?)```", (BASE / "docs" / "adding-a-task.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("quoted", QUOTED, ids=[f"{number}-{file}" for number, (file, _) in enumerate(QUOTED)])
def test_what_is_quoted_stands_in_the_file(quoted: tuple[str, str]) -> None:
    file, text = quoted
    assert text in (BASE / file).read_text()


def test_the_example_is_quoted() -> None:
    assert {Path(file).parts[0] for file, _ in QUOTED} == {"notify", "tests"}
