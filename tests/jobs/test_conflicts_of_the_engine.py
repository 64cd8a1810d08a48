"""Two transactions in each other's way are no outage: the engine tries again at once, and seldom has to."""

import threading

import pytest
from django.db import OperationalError, connection

from jobs.worker.database import is_outage, of_the_engine

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres_only]


@pytest.mark.parametrize("code, outage", [("40001", False), ("40P01", False), ("55P03", False), ("53100", True)])
def test_only_what_says_that_the_database_cannot_be_used_is_an_outage(code: str, outage: bool) -> None:
    with pytest.raises(OperationalError) as error, connection.cursor() as cursor:
        cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{code}'; END $$")
    assert is_outage(error.value) is outage


def test_the_engines_own_threads_choose_their_isolation_and_others_keep_theirs() -> None:
    seen: list[object] = []

    def look(*, ours: bool) -> None:
        if ours:
            of_the_engine()
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('transaction_isolation'), current_setting('lock_timeout')")
            seen.append(cursor.fetchone())
        connection.close()

    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        [name] = cursor.fetchone()
        cursor.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    try:
        for ours in (True, False):
            thread = threading.Thread(target=look, kwargs={"ours": ours})
            thread.start()
            thread.join()
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER DATABASE {name} RESET default_transaction_isolation")
    assert seen == [("read committed", "2s"), ("serializable", "0")]
