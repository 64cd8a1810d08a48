"""Markdown: what authors may do, and what nobody may."""

import pytest
from hypothesis import given, strategies as st
from lxml import html

from posts.markdown import Picture, excerpt, placed, render

PICTURE = Picture("/media/a.webp", 640, 320, "Described", "/media/a.webp 640w")


@pytest.mark.parametrize(
    "text, expected",
    [
        ("**b** *i* ~~s~~ `c`", "<p><strong>b</strong> <em>i</em> <s>s</s> <code>c</code></p>"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
        ("3. a", '<ol start="3">\n<li>a</li>\n</ol>'),
        ("> q", "<blockquote>\n<p>q</p>\n</blockquote>"),
        ("```python\nx\n```", '<pre><code class="language-python">x\n</code></pre>'),
        ("a  \nb", "<p>a<br>\nb</p>"),
    ],
)
def test_what_authors_may_do(text: str, expected: str) -> None:
    assert render(text).strip() == expected


def test_tables_are_tables() -> None:
    assert "<td>1</td>" in render("|a|\n|-|\n|1|")


@pytest.mark.parametrize("text", ["# One\n## Two\n### Three", "## One\n### Two\n#### Three"])
def test_headings_begin_below_the_title(text: str) -> None:
    assert [element.tag for element in html.fromstring(f"<div>{render(text)}</div>")] == ["h2", "h3", "h4"]


def test_links_tell_crawlers_that_readers_wrote_them() -> None:
    assert render("see https://example.com/x") == (
        '<p>see <a href="https://example.com/x" rel="nofollow ugc noopener">https://example.com/x</a></p>\n'
    )


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "[x](vbscript:x)",
        "<javascript:alert(1)>",
        "![x](javascript:alert(1))",
        '![x](image:1 "\\" onload=alert(1)")',
        '[x](https://a "\\" onmouseover=alert(1) \\"")',
        '!["><script>alert(1)</script>](image:1)',
        "<svg><style><a title='</style><img src=x onerror=alert(1)>'>",
        "<iframe src=//evil.example></iframe>",
        "```<script>\nx\n```",
        "[a]: javascript:alert(1)\n\n[a]",
    ],
)
def test_nothing_runs(text: str) -> None:
    check(render(text, {1: PICTURE}))


@given(st.text(alphabet="<>\"'&;:/\\[]()!#*_`~|-= \nabjavscriptonerldt:image1", max_size=80))
def test_whatever_is_written_nothing_runs(text: str) -> None:
    check(render(text, {1: PICTURE}))


def check(rendered: str) -> None:
    """Parse as a browser would, and look for what could run."""
    for element in html.fragment_fromstring(rendered, create_parent="main").iter():
        assert element.tag not in {"script", "iframe", "svg", "style", "object", "form"}
        for name, value in element.attrib.items():
            assert not name.startswith("on")
            if name in {"href", "src"}:
                assert str(value).partition(":")[0].lower() not in {"javascript", "data", "vbscript"}


def test_an_image_stands_where_its_number_is() -> None:
    assert render('![A lamp](image:2 "Lit")', {2: PICTURE}) == (
        '<p><img src="/media/a.webp" srcset="/media/a.webp 640w" sizes="(width < 52rem) 100vw, 45rem" title="Lit" '
        'alt="A lamp" width="640" height="320" loading="lazy" decoding="async"></p>\n'
    ).replace("width < 52", "width &lt; 52")


def test_without_a_caption_it_has_its_description() -> None:
    assert 'alt="Described"' in render("![](image:2)", {2: PICTURE})


def test_an_image_that_is_gone_leaves_a_word() -> None:
    assert render("![x](image:3)", {2: PICTURE}) == "<p><em>[image 3]</em></p>\n"


def test_an_image_from_elsewhere_becomes_a_link() -> None:
    rendered = render("![track](https://tracker.example/x.gif)")
    assert "<img" not in rendered
    assert '<a href="https://tracker.example/x.gif"' in rendered


def test_images_in_code_are_not_placed() -> None:
    assert placed("![](image:1) and `![](image:2)` ![](https://x/image:3)") == {1}
    assert placed("![](image\\:4) ![](image&#58;5) \\![](image:6)") == {4, 5}


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", ""),
        ("# Title\n\n**Bold** & <b>raw</b>", "Title Bold & <b>raw</b>"),
        ("one two three four", "one two…"),
        ("a" * 30, "a" * 11 + "…"),
        ("![pic](image:1) text ![](image:2)", "pic text"),
    ],
)
def test_the_excerpt_is_plain_and_short(text: str, expected: str) -> None:
    assert excerpt(text, 25 if text.startswith("#") else 15 if "image" in text else 12) == expected


def test_deep_nesting_is_no_trouble() -> None:
    assert render(">" * 5_000 + " x")
    assert render("[" * 5_000)
    assert render("*" * 20_000)
