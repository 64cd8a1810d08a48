"""Run the tests of the Django Tasks API against our backend: `python tests/django_tasks_suite CHECKOUT`.

On Django before 6.0 CHECKOUT is a clone of https://github.com/RealOrangeOne/django-tasks at the tag of the version in
requirements.txt; from 6.0 on it is the source of the Django that is installed. Both have tests of their own backends.
Where they say `DummyBackend` they get ours, and where they say `ImmediateBackend` ours with a worker that runs each job
before `enqueue()` returns; all on a database, since ours has one.
"""

import os
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

import django

PROJECT = Path(__file__).resolve().parents[2]

#: Whether the API is Django's own.
IS_IN_DJANGO = django.VERSION >= (6, 0)

#: What is wrong with `NOT_OURS`.
IN_VAIN = "passed though listed as not ours"

#: Tests that ask for what only the API's own backends do, and why ours does not. The others pass.
NOT_OURS = {
    "DummyBackendTestCase.test_refresh_result": (
        "it changes a result in the dummy's own list, and looks whether that is what is read"
    ),
    "DummyBackendTestCase.test_refresh_result_async": "the same",
    "ImmediateBackendTestCase.test_cannot_get_result": "our results can be asked for",
    "ImmediateBackendTestCase.test_cannot_refresh_result": "our results can be asked for",
    "ImmediateBackendTestCase.test_get_result_from_different_request": "our results can be asked for",
    "ImmediateBackendTestCase.test_cannot_pass_run_after": "ours takes run_after",
    "ImmediateBackendTestCase.test_throws_keyboard_interrupt": (
        "a worker ends by a signal, not by what a task raises: the attempt fails"
    ),
    "ImmediateBackendTestCase.test_catches_exception": (
        "of a task that calls sys.exit(), the error is the engine's, and SystemExit its cause"
    ),
    "ImmediateBackendTransactionTestCase.test_doesnt_wait_until_transaction_commit_by_default": (
        "a job runs when the transaction that enqueued it has committed"
    ),
}


def main(checkout: Path) -> int:
    """Run the tests; return 0 where all pass but those of `NOT_OURS`, and none of these."""
    with tempfile.TemporaryDirectory() as directory:
        place = _place(checkout.resolve(), Path(directory))
        # Where Django's runner looks for tests, and before our own package `tests`.
        os.chdir(place)
        sys.path[:0] = [str(place), str(PROJECT)]
        os.environ |= {
            "DEBUG": "true",
            "DATABASE_URL": f"sqlite:///{directory}/unused.sqlite3",
            "BROKER_URL": "ledger://",
            "DJANGO_SETTINGS_MODULE": "suite_settings",
            "SUITE_DIRECTORY": directory,
            # Some of the tests read results in coroutines, as the dummy allows.
            "DJANGO_ALLOW_ASYNC_UNSAFE": "true",
        }
        return _report(*_run())


def _place(checkout: Path, directory: Path) -> Path:
    """Return the directory in which the package of the tests is."""
    if not IS_IN_DJANGO:
        return checkout
    # The others beside it have names that our applications have.
    place = directory / "tests"
    place.mkdir()
    (place / "tasks").symlink_to(checkout / "tests/tasks")
    return place


def _run() -> tuple[set[str], unittest.TestResult]:
    """Run the tests. Returns their ids, and what became of them."""
    import django.test  # noqa: PLC0415 (the settings had to be chosen first)

    django.test.SimpleTestCase = django.test.TransactionTestCase  # type: ignore[misc]
    django.setup()
    import suite_backends  # type: ignore[import-not-found]  # noqa: PLC0415 (beside this file)
    from django.test.runner import DiscoverRunner  # noqa: PLC0415

    suite_backends.take_their_places()

    class Runner(DiscoverRunner):
        ids: set[str]

        def build_suite(self, *arguments: Any, **options: Any) -> unittest.TestSuite:
            suite: unittest.TestSuite = super().build_suite(*arguments, **options)
            tests: list[Any] = list(suite)
            self.ids = {test.id() for test in tests}
            for test in tests:
                # Some say that they need no application: ours does.
                type(test).available_apps = None
            return suite

        def suite_result(self, suite: unittest.TestSuite, result: unittest.TestResult, **_: object) -> int:
            self.result = result
            return 0

    runner = Runner(verbosity=1)
    runner.run_tests(["tasks" if IS_IN_DJANGO else "tests.tests"])
    return runner.ids, runner.result


def _report(ids: set[str], result: unittest.TestResult) -> int:
    failed = {getattr(test, "test_case", test).id() for test, _ in (*result.failures, *result.errors)}
    skipped = {test.id(): why for test, why in result.skipped}
    ends: dict[str, list[str]] = {"passed": [], "not ours": [], "skipped": [], "failed": [], IN_VAIN: []}
    for test in sorted(ids):
        reason = NOT_OURS.get(".".join(test.split(".")[-2:]))
        if test in skipped:
            ends["skipped"].append(f"{test}: {skipped[test]}")
        elif test in failed:
            ends["not ours" if reason else "failed"].append(f"{test}: {reason or 'see above'}")
        else:
            ends[IN_VAIN if reason else "passed"].append(test)
    for end, told in list(ends.items())[1:]:
        print(*(f"{end}: {said}" for said in told), sep="\n", end="\n" if told else "")
    print(", ".join(f"{len(told)} {end}" for end, told in ends.items()))
    # Those of which a module could not even be imported are among no ids.
    return int(bool(ends["failed"] or ends[IN_VAIN] or failed - ids))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1])))
