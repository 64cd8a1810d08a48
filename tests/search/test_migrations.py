"""A site that searched the texts as they were, brought up to date."""

import pytest
from django.core.management import call_command
from django.db import connection

from search.backends.embedded import EmbeddedBackend
from search.documents import IndexSettings
from search.models import IndexAlias
from tests.databases import Database

SETTINGS = IndexSettings(searchable=("title", "text"))

#: The last one that kept the texts.
BEFORE = "0002"


def _migrate(*target: str) -> None:
    call_command("migrate", "search", *target, verbosity=0)


def _found(query: str) -> list[str]:
    backend = EmbeddedBackend()
    backend.prepare("posts", SETTINGS)
    return [hit.document["id"] for hit in backend.search("posts", query).hits]


def test_documents_are_found_without_a_reindex_and_the_way_back_is_open(database: Database) -> None:
    _migrate(BEFORE)
    IndexAlias.objects.create(name="posts")
    with connection.cursor() as cursor:
        cursor.executemany(
            'INSERT INTO search_indexeddocument ("index", generation, key, data, text) VALUES (%s, 1, %s, %s, %s)',
            [
                ("posts", "a", '{"id": "a"}', "Zürich\nSee os.path.join"),
                ("posts", "b", '{"id": "b"}', "A lamp\nin Zürich"),
            ],
        )
    _migrate()
    assert _found("zurich") == ["a", "b"]
    assert _found("path.join") == ["a"]
    _migrate(BEFORE)
    _migrate()
    backend = EmbeddedBackend()
    backend.prepare("posts", SETTINGS)
    backend.put("posts", [{"id": "b", "title": "New", "text": "CVE-2026-1"}])
    backend.remove("posts", ["a"])
    assert _found("cve-2026-1") == ["b"]


@pytest.mark.django_db
def test_a_document_written_before_there_were_terms_is_passed_over() -> None:
    backend = EmbeddedBackend()
    backend.prepare("posts", SETTINGS)
    backend.put("posts", [{"id": "a", "title": "One"}, {"id": "b", "title": "Two"}])
    with connection.cursor() as cursor:
        cursor.execute("UPDATE search_indexeddocument SET terms = NULL WHERE key = 'a'")
    assert (_found("one"), _found("two")) == ([], ["b"])
    backend.put("posts", [{"id": "a", "title": "One"}])
    assert _found("one") == ["a"]
