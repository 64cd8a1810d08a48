"""What these tests can ask for."""

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models.signals import post_migrate
from django.utils import timezone

from accounts.models import User
from posts import services
from posts.models import Post
from posts.services import Content
from posts.uploads import Upload, checked
from tests.storage.pictures import picture
from tests.storage.stores import stores

__all__ = ["stores"]


@pytest.fixture
def ada(db: None) -> User:
    """Somebody who writes."""
    return User.objects.create_user("ada@example.com", "password", name="Ada", email_verified_at=timezone.now())


@pytest.fixture
def bob(db: None) -> User:
    """Somebody else."""
    return User.objects.create_user("bob@example.com", "password", name="Bob", email_verified_at=timezone.now())


def upload(width: int = 700, height: int = 350, name: str = "a.jpg") -> Upload:
    """Return an uploaded image."""
    return checked(SimpleUploadedFile(name, picture(width, height)))


def released() -> None:
    """Tell the app that a release has migrated, as `manage.py migrate` does."""
    config = apps.get_app_config("posts")
    post_migrate.send(config, app_config=config, verbosity=0, interactive=False, using="default")


@pytest.fixture
def write(ada: User) -> Callable[..., Post]:
    """Write a post of Ada's."""

    def write(title: str = "A title", text: str = "A text.", *, publish: bool = True, **more: Any) -> Post:
        return services.create(ada, Content(title, text, **more), publish=publish)

    return write
