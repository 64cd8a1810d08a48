"""What is installed is what was chosen: every package by version and hash."""

import re
from importlib import metadata

import pytest
from django.conf import settings
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned_with_its_hashes(name: str) -> None:
    lines = (settings.BASE_DIR / name).read_text().replace("\\\n", " ").splitlines()
    found = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    assert len(found) > 40
    wrong = [line for line in found if not re.match(r"[a-z0-9.-]+==\S+( +--hash=sha256:[0-9a-f]{64})+$", line)]
    assert wrong == []


def pinned(*names: str) -> set[str]:
    """Return the packages that files pin."""
    texts = "\n".join((settings.BASE_DIR / name).read_text() for name in names)
    return set(re.findall(r"^([a-z0-9.-]+)==", texts, re.MULTILINE))


@pytest.mark.parametrize("python", ["3.11.0", "3.12.0", "3.13.0", "3.14.0"])
@pytest.mark.parametrize("names", [("requirements.txt",), ("requirements.txt", "requirements-dev.txt")], ids=len)
def test_what_packages_need_is_pinned_whichever_python_installs_them(names: tuple[str, ...], python: str) -> None:
    # pip takes nothing without a hash; pip-compile leaves out what its own Python does not need.
    where = {"python_version": python.rpartition(".")[0], "python_full_version": python, "extra": ""}
    needs = [(name, Requirement(need)) for name in pinned(*names) for need in metadata.requires(name) or []]
    asked = [(name, need) for name, need in needs if need.marker is None or need.marker.evaluate(where)]
    missing = [f"{name} needs {need}" for name, need in asked if canonicalize_name(need.name) not in pinned(*names)]
    assert missing == []
