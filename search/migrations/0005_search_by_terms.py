"""Full-text indexes over the terms in place of those over the texts: FTS5 with triggers on SQLite, GIN on PostgreSQL.

FTS5's own tokeniser `ascii` parts a text at what is neither a letter, a digit, `.`, `+`, `#` nor outside ASCII; terms
have none of that, so it parts them at the spaces between them.
"""

import importlib

from django.db import migrations, models

_COLUMNS = [("first", 0), ("second", 1), ("third", 2), ("rest", 3)]
_NAMES = ", ".join(name for name, _ in _COLUMNS)


def _values(row):
    return ", ".join(f"json_extract({row}.terms, '$[{number}]')" for _, number in _COLUMNS)


_ADD = f"INSERT INTO search_text (rowid, {_NAMES}) SELECT new.id, {_values('new')} WHERE new.terms IS NOT NULL"
_REMOVE = (
    f"INSERT INTO search_text (search_text, rowid, {_NAMES})"
    f" SELECT 'delete', old.id, {_values('old')} WHERE old.terms IS NOT NULL"
)
_SQLITE = [
    f"CREATE VIRTUAL TABLE search_text USING fts5 ({_NAMES}, content='', tokenize=\"ascii tokenchars '.+#'\")",
    f"INSERT INTO search_text (rowid, {_NAMES})"
    f" SELECT d.id, {_values('d')} FROM search_indexeddocument d WHERE d.terms IS NOT NULL",
    f"CREATE TRIGGER search_text_added AFTER INSERT ON search_indexeddocument BEGIN {_ADD}; END",
    f"CREATE TRIGGER search_text_removed AFTER DELETE ON search_indexeddocument BEGIN {_REMOVE}; END",
    f"CREATE TRIGGER search_text_changed AFTER UPDATE ON search_indexeddocument BEGIN {_REMOVE}; {_ADD}; END",
]
_POSTGRESQL = ["CREATE INDEX search_document_terms ON search_indexeddocument USING gin (terms)"]
_POSTGRESQL_BACK = ["DROP INDEX search_document_terms"]

_before = importlib.import_module("search.migrations.0002_full_text")


def create(apps, schema_editor):
    """Create the indexes of the database in use."""
    _before._run(schema_editor, _SQLITE, _POSTGRESQL)


def drop(apps, schema_editor):
    """Drop them."""
    _before._run(schema_editor, _before._SQLITE_BACK, _POSTGRESQL_BACK)


def create_earlier(apps, schema_editor):
    """Create those over the texts, of the documents there are."""
    _before.create(apps, schema_editor)
    _before._run(schema_editor, ["INSERT INTO search_text (search_text) VALUES ('rebuild')"], [])


class Migration(migrations.Migration):
    dependencies = [("search", "0004_fill_terms")]
    operations = [
        migrations.RunPython(_before.drop, create_earlier),
        # The default is for the way back, on which the texts are gone: a reindex brings them again.
        migrations.AlterField("indexeddocument", "text", models.TextField(default="")),
        migrations.RemoveField("indexeddocument", "text"),
        migrations.RunPython(create, drop),
    ]
