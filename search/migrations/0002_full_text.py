"""Full-text indexes over the documents: FTS5 with triggers on SQLite, GIN on PostgreSQL."""

from django.db import migrations

_SQLITE = [
    "CREATE VIRTUAL TABLE search_text USING fts5"
    " (text, content='search_indexeddocument', content_rowid='id', tokenize='unicode61 remove_diacritics 2')",
    "CREATE TRIGGER search_text_added AFTER INSERT ON search_indexeddocument BEGIN"
    " INSERT INTO search_text (rowid, text) VALUES (new.id, new.text); END",
    "CREATE TRIGGER search_text_removed AFTER DELETE ON search_indexeddocument BEGIN"
    " INSERT INTO search_text (search_text, rowid, text) VALUES ('delete', old.id, old.text); END",
    "CREATE TRIGGER search_text_changed AFTER UPDATE ON search_indexeddocument BEGIN"
    " INSERT INTO search_text (search_text, rowid, text) VALUES ('delete', old.id, old.text);"
    " INSERT INTO search_text (rowid, text) VALUES (new.id, new.text); END",
]
_SQLITE_BACK = [
    "DROP TRIGGER search_text_added",
    "DROP TRIGGER search_text_removed",
    "DROP TRIGGER search_text_changed",
    "DROP TABLE search_text",
]
_POSTGRESQL = [
    "CREATE INDEX search_document_text ON search_indexeddocument USING gin (to_tsvector('simple', text))",
]
_POSTGRESQL_BACK = ["DROP INDEX search_document_text"]


def _run(schema_editor, sqlite, postgresql):
    for statement in postgresql if schema_editor.connection.vendor == "postgresql" else sqlite:
        schema_editor.execute(statement)


def create(apps, schema_editor):
    """Create the indexes of the database in use."""
    _run(schema_editor, _SQLITE, _POSTGRESQL)


def drop(apps, schema_editor):
    """Drop them."""
    _run(schema_editor, _SQLITE_BACK, _POSTGRESQL_BACK)


class Migration(migrations.Migration):
    dependencies = [("search", "0001_initial")]
    operations = [migrations.RunPython(create, drop)]
