"""What is installed is what was chosen: every package by version and hash."""

import re

import pytest
from django.conf import settings


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned_with_its_hashes(name: str) -> None:
    lines = (settings.BASE_DIR / name).read_text().replace("\\\n", " ").splitlines()
    found = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    assert len(found) > 40
    wrong = [line for line in found if not re.match(r"[a-z0-9.-]+==\S+( +--hash=sha256:[0-9a-f]{64})+$", line)]
    assert wrong == []
