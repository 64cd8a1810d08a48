"""A migration of a running system stops nobody who enqueues, claims or records."""

from django.db import migrations
from django.db.migrations.loader import MigrationLoader

from jobs.migrations._concurrently import AddIndex, RemoveIndex

#: Those before it are of a time without running systems.
FIRST = "0030"

#: What may stand in a migration without a transaction: applied again it does no harm.
INDEXES = (AddIndex, RemoveIndex, migrations.RenameIndex)


def test_indexes_of_jobs_are_made_and_dropped_while_others_write() -> None:
    for (app, name), migration in MigrationLoader(None).disk_migrations.items():
        if app != "jobs" or name < FIRST:
            continue
        of_jobs = [one for one in migration.operations if getattr(one, "model_name_lower", "") == "job"]
        changed = [one for one in of_jobs if isinstance(one, (migrations.AddIndex, migrations.RemoveIndex))]
        assert [one.describe() for one in changed if not isinstance(one, INDEXES)] == [], name
        if changed:
            assert not migration.atomic, name
            assert all(isinstance(one, INDEXES) for one in migration.operations), name
