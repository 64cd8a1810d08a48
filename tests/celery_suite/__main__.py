"""Run Celery's integration tests of canvas and tasks on jobs: `python tests/celery_suite CHECKOUT [pytest's options]`.

CHECKOUT is a checkout of https://github.com/celery/celery, or its unpacked source, at the version in requirements.txt.
The tasks of `t/integration/tasks.py` are declared by `@job`, a worker of ours runs them, and the ledger is the result
backend. The tests also leave their effects in Redis: a Valkey of its own is the broker as well.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree as ET

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]

#: What one test may take.
SECONDS = 200


def main(checkout: str, options: list[str]) -> int:
    """Run the tests; return 0 where all pass but those of `NOT_OURS`, and none of these."""
    sys.path.insert(0, str(PROJECT))
    from tests.servers.valkey import Valkey  # noqa: PLC0415 (the path had to be set first)

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        _lay_out(Path(checkout).resolve(), directory)
        valkey = Valkey(directory / "valkey")
        valkey.start()
        try:
            environment = _environment(Path(checkout).resolve(), directory, valkey.url, valkey.port)
            subprocess.run([sys.executable, PROJECT / "manage.py", "migrate", "-v0"], env=environment, check=True)
            report = directory / "report.xml"
            command = [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:randomly",
                "-p",
                "no:django",
                "-p",
                "no:rerunfailures",
                # Python 3.11 fails to parse the source of some tests again for the others: "recursion depth mismatch".
                "--tb=native",
                f"--junitxml={report}",
            ]
            where = ["--rootdir", str(directory), "-c", str(directory / "pytest.ini"), "--confcutdir", str(directory)]
            subprocess.run([*command, *where, *(options or ["t"])], env=environment, cwd=directory, check=False)
            return _report(report)
        finally:
            valkey.stop()


def _lay_out(checkout: Path, directory: Path) -> None:
    """Put Celery's tests and tasks beside our conftest."""
    tests = directory / "t/integration"
    tests.mkdir(parents=True)
    for package in (directory / "t", tests):
        (package / "__init__.py").touch()
    (directory / "t/canvas_helpers.py").symlink_to(checkout / "t/canvas_helpers.py")
    for name in ("tasks.py", "test_canvas.py", "test_tasks.py"):
        (tests / name).symlink_to(checkout / "t/integration" / name)
    (tests / "conftest.py").write_text("from suite_conftest import *\n")
    (directory / "pytest.ini").write_text(
        f"[pytest]\ntimeout = {SECONDS}\npython_classes = test_*\nmarkers =\n    flaky\n    timeout\n"
        "    masked_modules\n"
    )


def _environment(checkout: Path, directory: Path, broker: str, port: int) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(HERE), str(directory), str(PROJECT)]),
        "DEBUG": "true",
        "DATABASE_URL": os.environ.get("DATABASE_URL", f"sqlite:///{directory}/suite.sqlite3"),
        "BROKER_URL": broker,
        "REDIS_URL": broker,
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(port),
        "DJANGO_SETTINGS_MODULE": "suite_settings",
        "JOBS_HOUSEKEEPING_SECONDS": "0.2",
        "SUITE_CHECKOUT": str(checkout),
        "SUITE_DIRECTORY": str(directory),
    }


def _report(path: Path) -> int:
    """Print what became of the tests. Return 0 where all passed but those of `NOT_OURS`, and none of these did."""
    if not path.exists():
        print("The tests ended without a report.")
        return 1
    by_end: dict[str, list[str]] = {}
    for name, (outcome, why) in sorted(_outcomes(path).items()):
        end, said = _judged(name, outcome, why)
        by_end.setdefault(end, []).append(said)
    for end, told in by_end.items():
        if end != PASSED:
            print(*(f"{end}: {said}" for said in told), sep="\n")
    ends = (PASSED, NOT_OURS_EITHER, NOT_JUDGED, SKIPPED, FAILED, LISTED_IN_VAIN)
    counts = {end: len(by_end.get(end, ())) for end in ends}
    print(", ".join(f"{count} {end}" for end, count in counts.items()))
    return int(counts[FAILED] + counts[LISTED_IN_VAIN] > 0)


#: What may become of a test.
PASSED, NOT_OURS_EITHER, SKIPPED, FAILED = "passed", "not ours", "skipped by Celery", "failed"
LISTED_IN_VAIN, NOT_JUDGED = "passed though listed as not ours", "by chance"


def _judged(name: str, outcome: str, why: str) -> tuple[str, str]:
    """Return what became of a test, and what to say of it."""
    from not_ours import BY_CHANCE, NOT_OURS  # type: ignore[import-not-found]  # noqa: PLC0415 (beside this file)

    test = name.partition("[")[0]
    if test in BY_CHANCE and outcome == "failed":
        return NOT_JUDGED, f"{name}: {BY_CHANCE[test]}"
    known = NOT_OURS.get(name) or NOT_OURS.get(test)
    if outcome == "passed":
        return (LISTED_IN_VAIN, name) if known else (PASSED, name)
    if outcome == "skipped":
        return SKIPPED, f"{name}: {why}"
    return (NOT_OURS_EITHER, f"{name}: {known}") if known else (FAILED, f"{name}: {why}")


def _outcomes(path: Path) -> dict[str, tuple[str, str]]:
    """Return what became of each test, and why; one with parts fails if one of them does."""
    outcomes: dict[str, tuple[str, str]] = {}
    for case in ET.parse(path).iter("testcase"):  # noqa: S314 (pytest has written it)
        name = f"{case.get('classname', '').rpartition('.')[2]}.{case.get('name')}"
        found = next((one for one in case if one.tag in {"failure", "error", "skipped"}), None)
        if found is None:
            outcomes.setdefault(name, ("passed", ""))
        elif outcomes.get(name, ("", ""))[0] != "failed":
            outcome = "skipped" if found.tag == "skipped" else "failed"
            outcomes[name] = outcome, (found.get("message") or "").partition("\n")[0][:150]
    return outcomes


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
