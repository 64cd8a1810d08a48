"""The catalogues: complete, and compiled from what they say."""

import ast
import gettext
import re
from pathlib import Path

import pytest
from django.conf import settings

OTHER_LANGUAGES = [code for code, _ in settings.LANGUAGES if code != settings.LANGUAGE_CODE]
LINE = re.compile(r'^(msg\w+(?:\[\d\])?) (".*")$', re.MULTILINE)


def entries(source: str) -> list[dict[str, str]]:
    """Return a catalogue's entries; each of its strings stands in one line (`makemessages --no-wrap`)."""
    found = [{key: ast.literal_eval(text) for key, text in LINE.findall(block)} for block in source.split("\n\n")]
    return [entry for entry in found if entry.get("msgid")]


@pytest.mark.parametrize("language", OTHER_LANGUAGES)
def test_every_text_is_translated_and_compiled(language: str) -> None:
    source = Path(settings.LOCALE_PATHS[0]) / language / "LC_MESSAGES" / "django.po"
    with source.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    found = entries(source.read_text())
    assert found
    for entry in found:
        if "msgid_plural" in entry:
            for count, text in ((1, entry["msgstr[0]"]), (2, entry["msgstr[1]"])):
                assert compiled.ngettext(entry["msgid"], entry["msgid_plural"], count) == text
                assert text
        else:
            assert compiled.gettext(entry["msgid"]) == entry["msgstr"]
            assert entry["msgstr"]
    assert "fuzzy" not in source.read_text()
