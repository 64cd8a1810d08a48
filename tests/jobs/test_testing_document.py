"""The examples of docs/testing.md run: its blocks of Python, one after the other, are this module's tests."""

import re
from pathlib import Path

from tests.tasks_app import shop
from tests.tasks_app.shop import charge, charged, mail, mailed  # noqa: F401 (the examples use them)

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "testing.md"
TASKS, *EXAMPLES = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)

# As if they stood here.
for example in EXAMPLES:
    exec(compile(example, str(DOCUMENT), "exec"), globals())  # noqa: S102 (it is our own document)


def test_the_tasks_of_the_examples_are_those_that_workers_know() -> None:
    assert TASKS in Path(shop.__file__).read_text()
    assert len(EXAMPLES) >= 5
