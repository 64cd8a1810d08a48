"""How documents show a receiver to verify what it gets."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

DOCUMENTS = Path(__file__).resolve().parents[2] / "docs"

Verify = Callable[[str, Mapping[str, str], bytes], bool]


def verify_in(document: str) -> Verify:
    """Return the function that a document shows, made of its text."""
    code = re.search(r"```python\n(.*?)```", (DOCUMENTS / document).read_text(), re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(code[1], names)  # noqa: S102  (our own document)
    verify: Verify = names["verify"]
    return verify
