"""What the storage app reads from Django's settings, checked where it is used."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from django.conf import settings

from storage.errors import StorageError

#: `content` holds what people upload, `assets` what the public is served.
StoreName = Literal["content", "assets"]
STORE_NAMES: tuple[StoreName, ...] = get_args(StoreName)

_PREFIXES: dict[StoreName, str] = {"content": "STORAGE", "assets": "ASSETS"}
_REQUIRED = ("ENDPOINT", "BUCKET", "ACCESS_KEY", "SECRET_KEY")


@dataclass(frozen=True, slots=True)
class StoreConf:
    """One bucket of one S3-compatible server.

    Attributes:
        name: which of our stores it is.
        public_url: where the world reads the bucket; empty: through this site.
        region: what requests are signed for; most servers but Amazon's take any.
        connect_seconds, read_seconds: how long the server may take to accept, and for each answer.
    """

    name: StoreName
    endpoint: str
    bucket: str
    access_key: str
    secret_key: str = field(repr=False)
    public_url: str = ""
    region: str = "us-east-1"
    connect_seconds: float = 3.0
    read_seconds: float = 10.0

    @property
    def place(self) -> tuple[str, str]:
        """What tells two buckets apart: in development both stores lead to one."""
        return self.endpoint.rstrip("/"), self.bucket

    @property
    def region_setting(self) -> str:
        """The setting that names the region."""
        return f"{_PREFIXES[self.name]}_REGION"

    def __str__(self) -> str:
        return f"the {self.name} store (bucket {self.bucket} at {self.endpoint})"


def store_conf(name: str) -> StoreConf:
    """Return a store's configuration. Raises a permanent StorageError for an unknown or unconfigured one."""
    if name not in STORE_NAMES:
        raise StorageError(f"There is no store {name!r}: it must be one of {', '.join(STORE_NAMES)}.", permanent=True)
    missing = missing_settings(name)
    if missing:
        raise StorageError(
            f"The {name} store is not configured: set {', '.join(missing)}, restart web and workers, "
            "then replay this job.",
            permanent=True,
        )
    endpoint, bucket, access_key, secret_key = (getattr(settings, setting) for setting in all_settings(name))
    # What people upload is read through the site, which knows who may.
    public_url: str = settings.ASSETS_PUBLIC_URL if name == "assets" else ""
    region: str = getattr(settings, f"{_PREFIXES[name]}_REGION")
    return StoreConf(name, endpoint, bucket, access_key, secret_key, public_url.rstrip("/"), region)


def missing_settings(name: StoreName) -> list[str]:
    """Return the names of the settings that a store lacks."""
    return [setting for setting in all_settings(name) if not getattr(settings, setting)]


def is_configured(name: StoreName) -> bool:
    """Return whether a store can be used at all."""
    return not missing_settings(name)


def all_settings(name: StoreName) -> list[str]:
    """Return the names of the settings that a store needs."""
    return [f"{_PREFIXES[name]}_{key}" for key in _REQUIRED]
