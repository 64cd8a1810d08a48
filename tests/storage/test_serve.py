"""Objects of a store without a public address are served by the site: images, and nothing else."""

import pytest
from django.test import Client

from tests.servers import SeaweedFS
from tests.storage.stores import Stores


@pytest.fixture(autouse=True)
def prefixes(in_use: set[str]) -> None:
    """Only below `posts/` there is anything to be served."""


def test_an_image_is_served_with_its_type_for_ever(client: Client, stores: Stores) -> None:
    stores.fill("posts/a.webp", name="assets")
    response = client.get(stores.assets.url("posts/a.webp"))
    assert (response.status_code, response.content, response["Content-Type"]) == (200, b"x", "image/webp")
    assert "immutable" in response["Cache-Control"]
    assert response["X-Content-Type-Options"] == "nosniff"
    again = client.get(stores.assets.url("posts/a.webp"), headers={"if-none-match": response["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "address",
    ["/media/content/posts/none", "/media/attic/posts/a", "/media/content/work/a", "/media/content/posts/../a"],
)
def test_everything_else_is_not_there(client: Client, stores: Stores, address: str) -> None:
    stores.fill("work/a")
    assert client.get(address).status_code == 404


def test_what_is_no_image_is_not_served(client: Client, stores: Stores) -> None:
    stores.content.put("posts/page.html", b"<script>", content_type="text/html")
    assert client.get("/media/content/posts/page.html").status_code == 404


def test_a_silent_store_is_said_to_be_silent(client: Client, stores: Stores, seaweedfs: SeaweedFS) -> None:
    seaweedfs.kill()
    response = client.get("/media/content/posts/a")
    assert (response.status_code, response.content) == (503, b"The store does not answer; try again soon.")
