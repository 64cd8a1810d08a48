"""The pages: who sees what, and what happens when a button is pressed."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import User
from jobs import Permanent
from posts import queries
from posts.models import Post
from posts.tasks import show_variants
from storage.tasks import fetch_image, resize_image
from tests.posts.conftest import upload
from tests.servers import SeaweedFS
from tests.storage.pictures import chunk, picture, png_claiming
from tests.storage.stores import Stores

Write = Callable[..., Post]


def url(name: str, post: Post | None = None) -> str:
    return reverse(f"posts:{name}", args=[post.slug] if post else [])


# Reading


def test_everybody_reads_what_is_published(client: Client, write: Write) -> None:
    post = write("A night", "It was **dark**.")
    page = client.get(post.get_absolute_url())
    assert page.status_code == 200
    assert "<strong>dark</strong>" in page.text
    assert "Ada" in page.text
    assert "ada@example.com" not in page.text
    assert "A night" in client.get(url("list")).text


def test_drafts_are_their_authors_own(client: Client, write: Write, bob: User, ada: User) -> None:
    draft = write("Secret", publish=False)
    assert client.get(draft.get_absolute_url()).status_code == 404
    client.force_login(bob)
    assert client.get(draft.get_absolute_url()).status_code == 404
    assert client.get(url("edit", draft)).status_code == 404
    assert "Secret" not in client.get(url("list")).text + client.get(url("mine")).text
    client.force_login(ada)
    assert client.get(draft.get_absolute_url()).status_code == 200
    assert "Secret" in client.get(url("mine")).text


@pytest.mark.parametrize("name", ["edit", "delete", "publish", "unpublish"])
def test_others_change_nothing(client: Client, write: Write, bob: User, name: str) -> None:
    post = write()
    client.force_login(bob)
    assert client.post(url(name, post)).status_code == 403
    assert Post.objects.get().is_published


#: What each permission on others' posts opens: drafts, and what is done with one button.
OPENED: dict[str, set[str]] = {
    "": set(),
    "add_post": set(),
    "view_post": {"draft"},
    "change_post": {"draft", "edit", "publish", "unpublish"},
    "delete_post": {"draft", "delete"},
}


@pytest.mark.parametrize("permission", OPENED)
def test_others_posts_are_open_to_staff_by_their_permissions_alone(
    client: Client, write: Write, bob: User, permission: str
) -> None:
    bob.is_staff = True
    bob.save()
    if permission:
        bob.user_permissions.add(Permission.objects.get(codename=permission, content_type__app_label="posts"))
    client.force_login(bob)
    draft, post = write("Secret", publish=False), write()
    opened = {name for name in ("edit", "publish", "unpublish") if client.post(url(name, post)).status_code != 403}
    opened |= {"draft"} if client.get(draft.get_absolute_url()).status_code == 200 else set()
    buttons = client.get(post.get_absolute_url()).text
    offered = {name for name in ("edit", "delete") if url(name, post) in buttons}
    opened |= {"delete"} if client.post(url("delete", post)).status_code != 403 else set()
    assert opened == OPENED[permission]
    assert offered == opened & {"edit", "delete"}


def test_a_list_has_pages_without_gaps_or_repeats(client: Client, ada: User) -> None:
    moment = timezone.now()
    Post.objects.bulk_create(
        # Several at one moment: the id decides.
        Post(author=ada, title=f"T{n}", slug=f"t-{n}", text="x", published_at=moment - timedelta(seconds=n // 3))
        for n in range(queries.PAGE * 2 + 5)
    )
    seen: list[str] = []
    cursor = ""
    while True:
        page = queries.published(cursor)
        seen += [post.title for post in page.posts]
        if not (cursor := page.older):
            break
    assert len(seen) == len(set(seen)) == queries.PAGE * 2 + 5
    response = client.get(url("list"))
    assert "Older posts" in response.text
    assert client.get(f"{url('list')}?before=nonsense").text.count("<article>") == queries.PAGE


def test_empty_lists_say_what_would_be_there(client: Client, ada: User) -> None:
    assert "Nothing has been published yet" in client.get(url("list")).text
    client.force_login(ada)
    assert "You have not written anything yet" in client.get(url("mine")).text
    assert "There is nothing older" in client.get(f"{url('list')}?before=1-{'0' * 32}").text


def test_the_author_sees_originals_until_the_variants_are_there(
    client: Client, stores: Stores, write: Write, ada: User
) -> None:
    post = write(text="![A lamp](image:1)", uploads=[upload(), upload()])
    placed, loose = post.images.all()
    assert "<em>[image 1]</em>" in client.get(post.get_absolute_url()).text
    client.force_login(ada)
    before = client.get(post.get_absolute_url()).text
    assert f'src="/media/content/{placed.key}"' in before
    assert "srcset" not in before
    key = placed.key.rpartition("/")[0] + "/w320.webp"
    show_variants([{"key": key, "width": 320, "height": 160}], str(placed.pk))
    after = client.get(post.get_absolute_url()).text
    assert f'srcset="/media/assets/{key} 320w"' in after
    assert placed.key not in after
    assert after.count("<img") == 2
    assert loose.key in after
    client.logout()
    assert client.get(post.get_absolute_url()).text.count("<img") == 1
    assert f"/media/assets/{key}" in client.get(url("list")).text


def test_authors_see_that_images_are_on_their_way(client: Client, stores: Stores, write: Write, ada: User) -> None:
    post = write(uploads=[upload()])
    assert "full size until" not in client.get(post.get_absolute_url()).text
    client.force_login(ada)
    assert "1 image shows in full size until" in client.get(post.get_absolute_url()).text


def test_an_image_that_cannot_be_decoded_is_named_to_its_author_and_nobody_else(
    client: Client, stores: Stores, ada: User
) -> None:
    client.force_login(ada)
    # Whole as far as its structure says; what its pixels are is for a worker to find.
    whole = picture(40, 30, form="PNG")
    spoilt = whole[: whole.index(b"IDAT") - 4] + chunk(b"IDAT", b"no pixels") + chunk(b"IEND", b"")
    files = [SimpleUploadedFile("a.png", spoilt)]
    page = client.post(
        url("new"), {"title": "T", "text": "![](image:1)", "images": files, "then": "publish"}, follow=True
    )
    assert "1 image shows in full size until" in page.text
    post = Post.objects.get()
    image = post.images.get()
    fetched = fetch_image(image.key, image.key.rpartition("/")[0])
    with pytest.raises(Permanent, match="The image is damaged"):
        resize_image(fetched)
    shown = client.get(post.get_absolute_url()).text
    assert "Image 1 cannot be shown. The image is damaged" in shown
    assert "full size until" not in shown
    assert "It cannot be shown. The image is damaged" in client.get(url("edit", post)).text
    client.logout()
    shown = client.get(post.get_absolute_url()).text
    assert "cannot be shown" not in shown
    assert "<em>[image 1]</em>" in shown


# Writing


@pytest.mark.parametrize("name", ["new", "mine"])
def test_writing_needs_an_account(client: Client, name: str, db: None) -> None:
    assert client.get(url(name)).headers["Location"].startswith(reverse("accounts:log-in"))


def test_writing_and_publishing(client: Client, ada: User) -> None:
    client.force_login(ada)
    saved = client.post(url("new"), {"title": "T", "text": "x", "then": "save"}, follow=True)
    assert "Draft saved." in saved.text
    published = client.post(url("new"), {"title": "U", "text": "x", "then": "publish"}, follow=True)
    assert "Published." in published.text
    assert Post.objects.published().get().title == "U"


def test_what_was_typed_stays_where_something_is_wrong(client: Client, ada: User) -> None:
    client.force_login(ada)
    page = client.post(url("new"), {"title": "", "text": "My words <b>"})
    assert page.status_code == 200
    assert "My words &lt;b&gt;" in page.text
    assert "This field is required." in page.text


def test_editing_changes_text_images_and_descriptions(client: Client, stores: Stores, write: Write, ada: User) -> None:
    post = write(uploads=[upload(), upload()])
    first, second = post.images.all()
    client.force_login(ada)
    assert "![](image:1)" in client.get(url("edit", post)).text
    files = [SimpleUploadedFile("new.png", picture(50, 40, form="PNG"))]
    data = {"title": "N", "text": "y", f"alt-{first.pk}": "Lamp", f"remove-{second.pk}": "on", "images": files}
    assert client.post(url("edit", post), data).status_code == 302
    assert list(post.images.values_list("number", "alt", "content_type")) == [
        (1, "Lamp", "image/jpeg"),
        (3, "", "image/png"),
    ]


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"<svg onload=alert(1)>", "evil.jpg: The file is no image we know"),
        (png_claiming(30_000, 30_000), "evil.jpg: The image has too many pixels"),
        (picture(400, 300)[:2_000], "evil.jpg: The image is damaged"),
        (b"", "The submitted file is empty"),
    ],
)
def test_files_that_are_no_images_are_named(
    client: Client, stores: Stores, ada: User, data: bytes, reason: str
) -> None:
    client.force_login(ada)
    files = [SimpleUploadedFile("fine.jpg", picture(9, 9)), SimpleUploadedFile("evil.jpg", data, "image/jpeg")]
    page = client.post(url("new"), {"title": "T", "text": "x", "images": files})
    assert reason in page.text
    assert not Post.objects.exists()
    assert stores.keys() == []


def test_too_many_images_are_counted(client: Client, stores: Stores, ada: User) -> None:
    client.force_login(ada)
    files = [SimpleUploadedFile(f"{number}.png", picture(2, 2, form="PNG")) for number in range(21)]
    page = client.post(url("new"), {"title": "T", "text": "x", "images": files})
    assert "A post has 20 images at most: it has 0, and these are 21 more." in page.text


def test_a_store_that_is_gone_loses_no_text(client: Client, stores: Stores, seaweedfs: SeaweedFS, ada: User) -> None:
    client.force_login(ada)
    seaweedfs.kill()
    files = [SimpleUploadedFile("a.jpg", picture(9, 9))]
    page = client.post(url("new"), {"title": "T", "text": "My words", "images": files})
    assert page.status_code == 200
    assert "could not be stored, so nothing was saved. Try again in a minute" in page.text
    assert "My words" in page.text
    assert not Post.objects.exists()


def test_the_form_says_how_much_may_be_added_at_once(
    client: Client, stores: Stores, settings: Settings, ada: User
) -> None:
    settings.IMAGES_MAX_BYTES = 2_500_000
    client.force_login(ada)
    assert "2.5 MB of them at once" in client.get(url("new")).text


def test_without_a_store_the_form_says_so(client: Client, settings: Settings, ada: User) -> None:
    settings.STORAGE_ENDPOINT = ""
    client.force_login(ada)
    assert "No object store is configured" in client.get(url("new")).text


def test_the_preview_is_what_the_page_will_show(client: Client, ada: User) -> None:
    assert client.post(url("preview"), {"text": "x"}).status_code == 302
    client.force_login(ada)
    assert client.post(url("preview"), {"text": "**x**<script>"}).text == "<p><strong>x</strong>&lt;script&gt;</p>\n"


# Acting


def test_deleting_asks_first(client: Client, write: Write, ada: User) -> None:
    post = write("Gone soon")
    client.force_login(ada)
    assert "Delete “Gone soon”?" in client.get(url("delete", post)).text
    assert Post.objects.exists()
    assert "Deleted “Gone soon”." in client.post(url("delete", post), follow=True).text
    assert not Post.objects.exists()


def test_buttons_are_no_links(client: Client, write: Write, ada: User) -> None:
    client.force_login(ada)
    post = write()
    assert client.get(url("publish", post)).status_code == 405
    assert client.get(url("unpublish", post)).status_code == 405
