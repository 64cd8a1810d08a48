"""Reading a post."""

import io

import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from accounts.models import User
from posts import services
from posts.markdown import Picture
from posts.services import Content
from tests.browser.site import Site


def png(width: int, height: int) -> bytes:
    """Return a picture."""
    kept = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(kept, "PNG")
    return kept.getvalue()


@pytest.mark.parametrize("width, height", [(1600, 900), (600, 2400), (90, 60)])
def test_nothing_moves_when_a_picture_has_come(page: Page, site: Site, width: int, height: int) -> None:
    post = services.create(User.objects.create_user("ann@example.com"), Content("A post", "A text."), publish=True)
    waiting: list[Route] = []
    page.route("**/slow.png", lambda route: waiting.append(route))  # noqa: PLW0108 (it takes no built-in)
    page.goto(post.get_absolute_url())
    shown = Picture("/slow.png", width, height, "a picture").html()
    with page.expect_request("**/slow.png"):
        page.locator(".prose").evaluate("(prose, html) => { prose.innerHTML = html; }", shown)
    picture = page.locator(".prose img")
    before = picture.bounding_box()
    assert before is not None
    assert before["height"] > 40
    waiting[0].fulfill(body=png(width, height), content_type="image/png")
    expect(picture).to_have_js_property("naturalWidth", width)
    assert picture.bounding_box() == before
