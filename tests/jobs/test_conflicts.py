"""A job under an id or key that another one has: what the ledger does where it cannot see that one."""

import uuid

import pytest
from django.db import OperationalError, connection, transaction

from jobs.errors import EnqueueError
from jobs.ledger import enqueue_once
from jobs.ledger.enqueue import NewJob
from jobs.models import Job
from tests.jobs.races import at_once
from tests.jobs.rows import new_job, written

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres_only]


@pytest.mark.parametrize("given_id", [True, False])
def test_one_that_came_after_the_transaction_began_is_an_error_and_no_endless_loop(given_id: bool) -> None:
    first = new_job(unique_key="key")
    second = new_job(id=first.id if given_id else uuid.uuid4(), unique_key=None if given_id else "key", given_id=True)
    with pytest.raises(OperationalError, match="could not serialize access"):
        overtaken(first, second)
    assert enqueue_once.write(second).id == first.id


@transaction.atomic
def overtaken(first: NewJob, second: NewJob) -> None:
    """Write a job in a transaction that cannot see the one which another has just written."""
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    assert not Job.objects.exists()

    def elsewhere(_: int) -> None:
        enqueue_once.write(first)

    at_once(elsewhere, 1)
    enqueue_once.write(second)


def test_a_row_that_the_database_keeps_out_is_an_error_and_no_endless_loop() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE FUNCTION keep_out() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
        cursor.execute("CREATE TRIGGER no BEFORE INSERT ON jobs_job FOR EACH ROW EXECUTE FUNCTION keep_out()")
    try:
        with pytest.raises(EnqueueError, match=r"could not be written in 10 tries"):
            enqueue_once.write(new_job(unique_key="key"))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION keep_out CASCADE")
    written(unique_key="key")
