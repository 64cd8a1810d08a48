"""Run the tests of the package `django-tasks` against our backend: `python tests/django_tasks_suite CHECKOUT`.

CHECKOUT is a clone of https://github.com/RealOrangeOne/django-tasks at the tag of the version in requirements.txt. Its
tests are for its own backends. Where they say `DummyBackend` they get ours, and where they say `ImmediateBackend` ours
with a worker that runs each job before `enqueue()` returns; all on a database, since ours has one.
"""

import os
import sys
import tempfile
import unittest
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]

#: Tests that ask for what only the package's own backends do, and why ours does not. The others pass.
NOT_OURS = {
    "test_refresh_result": "it changes a result in the dummy's own list, and looks whether that is what is read",
    "test_refresh_result_async": "the same",
    "test_cannot_get_result": "our results can be asked for",
    "test_cannot_refresh_result": "our results can be asked for",
    "test_get_result_from_different_request": "our results can be asked for",
    "test_cannot_pass_run_after": "ours takes run_after",
    "test_throws_keyboard_interrupt": "a worker ends by a signal, not by what a task raises: the attempt fails",
    "test_catches_exception": "of a task that calls sys.exit(), the error is the engine's, and SystemExit its cause",
}


def main(checkout: str) -> int:
    """Run the tests; return 0 where all pass but those of `NOT_OURS`."""
    # Where Django's runner looks for tests, and before our own package `tests`.
    os.chdir(checkout)
    sys.path[:0] = [os.getcwd(), str(PROJECT)]
    with tempfile.TemporaryDirectory() as directory:
        os.environ |= {
            "DEBUG": "true",
            "DATABASE_URL": f"sqlite:///{directory}/unused.sqlite3",
            "BROKER_URL": "ledger://",
            "DJANGO_SETTINGS_MODULE": "suite_settings",
            "SUITE_DIRECTORY": directory,
            # Some of the tests read results in coroutines, as the dummy allows.
            "DJANGO_ALLOW_ASYNC_UNSAFE": "true",
        }
        return _report(_run())


def _run() -> unittest.TestResult:
    import django  # noqa: PLC0415 (the settings had to be chosen first)
    import django.test  # noqa: PLC0415

    django.test.SimpleTestCase = django.test.TransactionTestCase  # type: ignore[misc]
    django.setup()
    import suite_backends  # type: ignore[import-not-found]  # noqa: PLC0415 (beside this file)
    from django.test.runner import DiscoverRunner  # noqa: PLC0415

    suite_backends.take_their_places()

    class Runner(DiscoverRunner):
        def suite_result(self, suite: unittest.TestSuite, result: unittest.TestResult, **_: object) -> int:
            self.result = result
            return 0

    runner = Runner(verbosity=1)
    runner.run_tests(["tests.tests"])
    return runner.result


def _report(result: unittest.TestResult) -> int:
    failed = {getattr(test, "test_case", test).id() for test, _ in (*result.failures, *result.errors)}
    names = {name.rpartition(".")[2] for name in failed}
    print(f"{result.testsRun - len(failed) - len(result.skipped)} of {result.testsRun} pass.")
    for test, why in result.skipped:
        print(f"skipped: {test.id()}: {why}")
    for name in sorted(failed):
        print(f"fails: {name}: {NOT_OURS.get(name.rpartition('.')[2], 'WHY?')}")
    for name in sorted(NOT_OURS.keys() - names):
        print(f"passes although it is listed here: {name}")
    return int(names != NOT_OURS.keys())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
