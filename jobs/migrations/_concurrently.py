"""Indexes of tables that may have millions of rows, made and dropped while others write: the claims of a running system.

PostgreSQL does so outside of transactions: such a migration says `atomic = False`, and has nothing else in it. Where it
was cut off it is applied again, as a whole.
"""

from typing import Any

from django.db import migrations
from django.db.models import Index, Model


class _Editor:
    """What an operation on an index needs of a schema editor: it lets others write, where the database can do that."""

    def __init__(self, editor: Any) -> None:
        self._editor = editor
        self.connection = editor.connection
        self._how = {"concurrently": True} if self.connection.vendor == "postgresql" else {}

    def add_index(self, model: type[Model], index: Index) -> None:
        if self._how:
            # What a migration that was cut off has left is of no use, and in the way.
            self.remove_index(model, index)
        self._editor.add_index(model, index, **self._how)

    def remove_index(self, model: type[Model], index: Index) -> None:
        self._editor.remove_index(model, index, **self._how)


def _concurrent(schema_editor: Any) -> Any:
    return _Editor(schema_editor)


class AddIndex(migrations.AddIndex):
    """Make an index."""

    atomic = False

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Make it."""
        super().database_forwards(app_label, _concurrent(schema_editor), from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Drop it."""
        super().database_backwards(app_label, _concurrent(schema_editor), from_state, to_state)


class RemoveIndex(migrations.RemoveIndex):
    """Drop an index."""

    atomic = False

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Drop it."""
        super().database_forwards(app_label, _concurrent(schema_editor), from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Make it."""
        super().database_backwards(app_label, _concurrent(schema_editor), from_state, to_state)
