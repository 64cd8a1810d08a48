"""Messages filled into their templates."""

from html.parser import HTMLParser
from typing import Any

import mrml
import pytest
from hypothesis import given, strategies as st

from mail.addresses import parse
from mail.messages import Message
from mail.rendering import Rendered, _html_template, render


def rendered(body: str, subject: str = "News", language: str = "en") -> Rendered:
    message = Message(parse("jane@example.com"), subject, "mail/messages/custom", {"body": body}, language)
    return render(message)


class Structure(HTMLParser):
    """The tags of a document, in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)


def test_values_are_escaped_in_the_html_and_plain_in_the_text() -> None:
    result = rendered("<script>alert('x')</script> & more", subject="<b>News</b>")
    assert "<script>alert" not in result.html
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; more" in result.html
    assert result.text.startswith("<script>alert('x')</script> & more\n")
    assert result.subject == "<b>News</b>"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=80).filter(str.strip))
def test_no_value_changes_the_structure_of_the_html(value: str) -> None:
    plain = value.replace("@", "").replace(".", "").replace("://", "")  # Links are made of addresses, on purpose.
    assert Structure(rendered(plain, subject=plain).html).tags == Structure(rendered("x", subject="x").html).tags


def test_template_tags_in_a_value_stay_text() -> None:
    result = rendered("{{ subject }} {% now 'Y' %}")
    assert "{{ subject }} {% now &#x27;Y&#x27; %}" in result.html
    assert "{{ subject }} {% now 'Y' %}" in result.text


def test_mjml_is_compiled_once_however_many_mails_are_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    _html_template.cache_clear()
    compiled = []

    def compile_mjml(source: str, **options: Any) -> mrml.Output:
        compiled.append(source)
        return original(source, **options)

    original = mrml.to_html
    monkeypatch.setattr(mrml, "to_html", compile_mjml)
    for language in ("en", "de", "en"):
        rendered("Hi", language=language)
    assert len(compiled) == 1


def test_a_mail_loads_nothing_from_anywhere() -> None:
    html = rendered("Hi").html
    for loader in ("<img", "<link", "@import", "url(", "fonts.googleapis"):
        assert loader not in html


def test_the_language_is_the_readers() -> None:
    english, german = rendered("Hi"), rendered("Hi", language="de")
    assert 'lang="en"' in english.html
    assert "Nobody reads replies to this mail" in english.text
    assert 'lang="de"' in german.html
    assert "Antworten auf diese E-Mail liest niemand" in german.text
    assert "Antworten auf diese E-Mail liest niemand" in german.html
