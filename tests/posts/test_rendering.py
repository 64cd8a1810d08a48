"""A text is rendered when it is saved: quickly, whatever stands in it, and never when it is read."""

import time
from collections.abc import Callable

import pytest
from django.test import Client
from hypothesis import given, settings, strategies as st

from accounts.models import User
from jobs.models import Job
from posts import markdown
from posts.markdown import Picture, excerpt, render
from posts.models import MAX_TEXT, Post
from posts.services import Content, update
from posts.tasks import render_posts
from tests.posts.conftest import released

Write = Callable[..., Post]

#: A second is promised; the tests share two cores with servers and with each other. What is not linear takes minutes.
SECONDS = 2.0
#: An opened quote is one character of text and 27 of HTML; and a picture is long, but shown a hundred times at most.
TIMES, BESIDE = 15, 120_000

PICTURE = Picture("/media/assets/posts/1/w1280.webp", 1280, 640, "A lamp", ", ".join(["/media/a.webp 320w"] * 4))

#: What took more than linear time or space in some Markdown parser, link finder or sanitiser; repeated up to the limit.
UNITS = [
    *("[", "![", "[a](", "[a](<b", "[![a](b)](c)", "[a]", "[a][", "[^a]", "]("),
    *("*", "*a ", "**a", "*a _b ", "a**b", "_a_ ", "~~a", "~a~ ", "*a**b**c* "),
    *(">", "> ", "- ", "1. ", "> - ", "* > ", "-\n", "+\n-\n", ">\n\n", "- a\n", "> > > a\n", "1) a\n"),
    *("`", "` `` ", "```\n", "~~~\n", "    a\n", "\t", " ", "\\", "\\*", "a\\\n"),
    *("# a\n", "---\n", "a\n---\n", "a\n===\n", "|a", "|a|\n|-|\n", "a\n|-|\n", "|", "|\n", "|-"),
    *("http://a.b/(", "http://a.b ", "www.a.b/", "a.b@", "a@b.c ", "a.com ", "//a", "http://", "http://a.b)", "@a"),
    *("<a ", "<a b='", "<!--", "<?", "<!A ", "<![CDATA[", "<div>\n", "</a>", "<script>\n", "<http://a.b>", "&lt"),
    *("&amp;", "&", "&#x10ffff;", "&#0;", "&a", "\0", "\u00a0", "<", '"', "é", "\U0001f600", "\u202e"),
    *("![](image:1)", "![a](image:1 'b')", "![](http://a.b/c)", "[](a)", "<a:b>"),
    *("[a]: b\n", "[a]: b 'c\n", "[a]: <b\n"),
]


def check(text: str) -> None:
    began = time.process_time()
    rendered = render(text, {1: PICTURE})
    short = excerpt(text, 300)
    took = time.process_time() - began
    assert took < SECONDS, f"{took:.1f} s for {text[:60]!r}…"
    assert len(rendered) <= TIMES * len(text) + BESIDE
    assert len(short) <= 300


@pytest.mark.parametrize("unit", UNITS)
def test_no_text_takes_a_second_or_grows_many_times(unit: str) -> None:
    check((unit * MAX_TEXT)[:MAX_TEXT])


@pytest.mark.parametrize("unit", UNITS)
def test_nor_does_one_that_is_closed_again_or_interrupted_by_lines(unit: str) -> None:
    half = (unit * 10_000)[:10_000]
    check(half + "".join(reversed(unit)) * (10_000 // len(unit)) + (half[:400] + "\n") * 25)


@pytest.mark.parametrize("prefix", ["> ", "- ", " ", "1. ", "*", "#", "`", "[", "|a"])
def test_nor_does_one_whose_lines_grow(prefix: str) -> None:
    check("".join(prefix * number + "a\n\n" for number in range(400))[:MAX_TEXT])


@pytest.mark.parametrize("target", [100, 1_000, 30_000])
@pytest.mark.parametrize("use", ["[x] ", "[x][] ", "[a][x] ", "![x] ", "[![x]][x] "])
def test_a_target_used_often_does_not_multiply_the_text(target: int, use: str) -> None:
    text = f"[x]: http://a.b/{'c' * target} '{'t' * (target // 2)}'\n\n"
    for length in (3_000, 30_000, MAX_TEXT):
        text = (text + use * length)[: max(length, len(text))]
        rendered = render(text)
        assert len(rendered) <= TIMES * len(text)
    check(text)


@pytest.mark.parametrize("columns, rows", [(100, 1_000), (600, 800), (12_500, 16_000)])
@pytest.mark.parametrize("row", ["a\n", "||\n"])
def test_short_rows_of_a_wide_table_do_not_multiply_the_text(columns: int, rows: int, row: str) -> None:
    text = ("|" + "a|" * columns + "\n|" + "-|" * columns + "\n" + row * rows)[:MAX_TEXT]
    assert len(render(text)) <= TIMES * len(text)


def test_a_short_row_is_filled_up() -> None:
    assert render("|a|b|\n|-|-|\n|1|\n").count("<td>") == 2


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.text(alphabet="[]()<>!*_~`#>|-+:.\\&;\"'/ \n\tab1é", min_size=1, max_size=8), st.integers(1, 2_000)
        ),
        min_size=1,
        max_size=4,
    )
)
def test_whatever_is_repeated(parts: list[tuple[str, int]]) -> None:
    text = "".join(unit * times for unit, times in parts)
    check((text * (MAX_TEXT // len(text) + 1))[:MAX_TEXT])


@pytest.mark.parametrize("unit", [">", "- ", "1. ", "> - ", "*a _b "])
def test_what_stands_deep_is_shown_all_the_same(unit: str) -> None:
    text = unit * 500 + "the lantern"
    assert "the lantern" in render(text)
    assert excerpt(text, 5_000).endswith("the lantern")


def test_an_ordinary_link_may_be_used_as_often_as_one_likes() -> None:
    assert render("[x]: https://example.com/a\n\n" + "[x] " * 100).count("<a href") == 100


@pytest.mark.parametrize(
    "text, target",
    [
        ("see http://a.example/b?c=d&e=f.", "http://a.example/b?c=d&amp;e=f"),
        ("(https://a.example/b_(c))", "https://a.example/b_(c)"),
        ("www.a.example, too", "http://www.a.example"),
        ("write to jane.doe+x@a.example!", "mailto:jane.doe+x@a.example"),
        ("HTTPS://A.EXAMPLE", "HTTPS://A.EXAMPLE"),
    ],
)
def test_a_bare_address_is_a_link(text: str, target: str) -> None:
    assert f'<a href="{target}" ' in render(text)


@pytest.mark.parametrize("text", ["`http://a.example`", "    http://a.example", "xhttp://a.example", "http://", "a@b"])
def test_what_is_no_address_is_none(text: str) -> None:
    assert "<a " not in render(text)


def test_an_address_in_a_link_is_no_second_one() -> None:
    assert render("[http://a.example](http://b.example)").count("<a ") == 1


@pytest.mark.parametrize("text", ["[x](image:1)", "<image:1>", "[x]: image:1\n\n[x]"])
def test_a_link_to_an_image_s_number_leads_nowhere(text: str) -> None:
    assert "href" not in render(text, {1: PICTURE})


@pytest.mark.parametrize("text", ['<img data-number="1" alt="" title="">', '`<img data-number="1" alt="" title="">`'])
def test_an_image_s_place_cannot_be_written(text: str) -> None:
    assert "<img" not in render(text, {1: PICTURE})


# Kept with the post


@pytest.mark.django_db
def test_no_reader_s_request_renders(client: Client, write: Write) -> None:
    post = write(text="**kept**")
    # Had a view rendered it, this would show.
    Post.objects.filter(pk=post.pk).update(text="**another**")
    assert "<strong>kept</strong>" in client.get(post.get_absolute_url()).text


@pytest.mark.django_db
def test_what_is_saved_is_rendered(client: Client, write: Write) -> None:
    post = write(text="**one**")
    update(post, Content("T", "**two**"))
    assert "<strong>two</strong>" in client.get(post.get_absolute_url()).text
    post.text = "**three**"
    post.save(update_fields=["text"])
    assert "<strong>three</strong>" in client.get(post.get_absolute_url()).text


@pytest.mark.django_db
def test_what_an_earlier_renderer_made_is_rendered_anew_by_a_job(write: Write) -> None:
    posts = [write(text=f"**{number}**") for number in range(3)]
    Post.objects.filter(pk__in=[post.pk for post in posts[1:]]).update(html="old", placed=[7], rendered_by=0)
    assert render_posts() == "2 posts"
    assert render_posts() == "0 posts"
    for number, post in enumerate(posts):
        post.refresh_from_db()
        assert (post.html, post.placed) == (f"<p><strong>{number}</strong></p>\n", [])
        assert post.rendered_by == markdown.VERSION


@pytest.mark.django_db
def test_until_then_readers_see_what_there_is(client: Client, write: Write) -> None:
    post = write(text="**x** <script>")
    Post.objects.update(html="<p>old</p>", rendered_by=markdown.VERSION + 1)
    assert "<p>old</p>" in client.get(post.get_absolute_url()).text
    Post.objects.update(html="", rendered_by=0)
    assert "<pre>**x** &lt;script&gt;</pre>" in client.get(post.get_absolute_url()).text


@pytest.mark.django_db
def test_a_release_enqueues_that_job_where_there_is_something_to_do(write: Write) -> None:
    write()
    released()
    assert not Job.objects.filter(task="posts.render").exists()
    Post.objects.update(rendered_by=0)
    released()
    assert Job.objects.filter(task="posts.render").count() == 1


@pytest.mark.django_db
def test_the_longest_text_is_saved_and_shown_at_once(client: Client, ada: User) -> None:
    client.force_login(ada)
    began = time.process_time()
    text = ("http://a.b/(" * MAX_TEXT)[:MAX_TEXT]
    page = client.post("/posts/new/", {"title": "T", "text": text, "then": "publish"}, follow=True)
    assert page.status_code == 200
    assert time.process_time() - began < 3 * SECONDS
