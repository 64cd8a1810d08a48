"""Other frameworks that run jobs, installed from PyPI in the versions of `requirements.txt` here, apart from ours."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

#: Kept from run to run, until other versions are asked for.
_ENVIRONMENT = ROOT / "var" / "bench-peers"
_REQUIREMENTS = Path(__file__).with_name("requirements.txt")
_INSTALLED = _ENVIRONMENT / "requirements.txt"

#: The interpreter that has them, once `install` has returned.
PYTHON = _ENVIRONMENT / "bin" / "python"


def install() -> None:
    """Make the environment, unless it has what `requirements.txt` says. Raises CalledProcessError where pip fails."""
    wanted = _REQUIREMENTS.read_text()
    if _INSTALLED.exists() and _INSTALLED.read_text() == wanted:
        return
    print(f"Installing {_REQUIREMENTS.relative_to(ROOT)} into {_ENVIRONMENT.relative_to(ROOT)} …", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", _ENVIRONMENT], check=True)
    subprocess.run(
        [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", _REQUIREMENTS],
        check=True,
    )
    _INSTALLED.write_text(wanted)


def version(name: str) -> str:
    """Return the package's name with the version that `requirements.txt` asks for."""
    [pinned] = re.findall(rf"^{name}==(\S+)", _REQUIREMENTS.read_text(), re.MULTILINE)
    return f"{name} {pinned}"
