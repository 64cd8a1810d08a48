"""Talks to a store. Every failure is a StorageError; nothing is tried twice here, the jobs' own policy does that."""

import base64
import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

from django.urls import reverse

from storage import keys
from storage.conf import StoreConf, store_conf
from storage.errors import InvalidKey, ObjectMissing, StorageError
from storage.failures import explained, is_of_key, is_of_request, is_permanent, refusal, said_by

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: Most keys that one DeleteObjects request may name; also the size of a page of a listing.
MAX_KEYS = 1000

#: For objects whose content never changes under their key. What is withdrawn is gone from shared caches in an hour.
FOREVER = "public, max-age=31536000, s-maxage=3600, immutable"


@dataclass(frozen=True, slots=True)
class Stored:
    """An object, read."""

    data: bytes
    content_type: str
    etag: str


@dataclass(frozen=True, slots=True)
class Listed:
    """An object, seen in a listing."""

    key: str
    size: int
    modified: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a listing, and the store's own clock when it gave it: ages are told by one clock, not two."""

    objects: list[Listed]
    now: datetime


@dataclass(frozen=True, slots=True)
class KeyFailure:
    """One key that a store would not delete, and why."""

    key: str
    reason: str
    permanent: bool

    def __str__(self) -> str:
        return f"{keys.shown(self.key)} ({self.reason})"


class Store:
    """One bucket. Cheap to make; threads may share it."""

    def __init__(self, conf: StoreConf) -> None:
        self.conf = conf

    @property
    def _s3(self) -> "S3Client":
        return _connected(self.conf)

    def put(self, key: str, data: bytes | IO[bytes], *, content_type: str, cache_control: str = FOREVER) -> None:
        """Write an object, in place of one that may be there. Raises StorageError."""
        with explained(self.conf, f"write {keys.shown(key)}"):
            self._s3.put_object(
                Bucket=self.conf.bucket,
                Key=keys.check(key),
                Body=data,
                ContentType=content_type,
                CacheControl=cache_control,
            )

    def get(self, key: str, *, limit: int, etag: str = "") -> Stored:
        """Read an object of at most `limit` bytes; with an `etag`, only if it is still that very one.

        Raises:
            ObjectMissing: there is none.
            StorageError: it is larger, is another one by now, or the store failed.
        """
        keys.check(key)
        condition = {"IfMatch": etag} if etag else {}
        with explained(self.conf, f"read {keys.shown(key)}"):
            answer = self._s3.get_object(Bucket=self.conf.bucket, Key=key, **condition)  # type: ignore[arg-type]
            with answer["Body"] as body:
                if (size := answer["ContentLength"]) > limit:
                    raise StorageError(
                        f"{keys.shown(key)} has {size:,} bytes: it must not have more than {limit:,}.", permanent=True
                    )
                return Stored(body.read(), answer.get("ContentType", ""), answer["ETag"])

    def delete(self, doomed: Sequence[str]) -> list[KeyFailure]:
        """Delete objects, up to 1,000 a request. One that is not there counts as deleted.

        Returns:
            The keys that are still there, each with its reason.

        Raises:
            StorageError: the store failed or refused the request as a whole.
        """
        failures: list[KeyFailure] = []
        sound = [key for key in doomed if not _noted(key, failures)]
        return failures + self._delete(sound)

    def delete_listed(self, listed: Sequence[str]) -> list[KeyFailure]:
        """Delete objects by the names that the store lists, which need not be ones that we would give.

        Returns:
            The keys of what was left alone, each with its reason: what stands for a folder, and what cannot be named.

        Raises:
            StorageError: the store failed or refused the request as a whole.
        """
        kept = [KeyFailure(key, reason, permanent=True) for key in listed if (reason := keys.why_kept(key))]
        rest = [key for key in listed if not keys.why_kept(key)]
        kept += self._delete([key for key in rest if keys.fits_xml(key)])
        return kept + self._delete_each([key for key in rest if not keys.fits_xml(key)])

    def _delete(self, doomed: Sequence[str]) -> list[KeyFailure]:
        failures: list[KeyFailure] = []
        for start in range(0, len(doomed), MAX_KEYS):
            failures += self._delete_together(doomed[start : start + MAX_KEYS])
        return failures

    def _delete_together(self, doomed: Sequence[str]) -> list[KeyFailure]:
        with explained(self.conf, f"delete {len(doomed):,} objects"):
            try:
                answer = self._s3.delete_objects(
                    Bucket=self.conf.bucket, Delete={"Objects": [{"Key": key} for key in doomed], "Quiet": True}
                )
            except self._s3.exceptions.ClientError as exc:
                if not is_of_request(exc):
                    raise
                return self._delete_each(doomed)
        return [
            KeyFailure(one.get("Key", ""), f"{code}: {one.get('Message', '')}", is_permanent(code))
            for one in answer.get("Errors", [])
            if (code := one.get("Code", "")) != "NoSuchKey"
        ]

    def _delete_each(self, doomed: Sequence[str]) -> list[KeyFailure]:
        return [failure for key in doomed if (failure := self._delete_alone(key)) is not None]

    def _delete_alone(self, key: str) -> KeyFailure | None:
        if not keys.fits_url(key):
            return KeyFailure(key, "in a URL its name would be another one", permanent=True)
        what = f"delete {keys.shown(key)}"
        with explained(self.conf, what):
            try:
                self._s3.delete_object(Bucket=self.conf.bucket, Key=key)
            except self._s3.exceptions.ClientError as exc:
                if not is_of_key(exc):
                    raise
                error = refusal(self.conf, what, exc)
                return None if isinstance(error, ObjectMissing) else KeyFailure(key, said_by(exc), error.permanent)
        return None

    def pages(self, prefix: str = "") -> Iterator[Page]:
        """Yield the bucket's listing, 1,000 objects at a time. Raises StorageError."""
        token: dict[str, str] = {}
        while True:
            with explained(self.conf, f"list {prefix or 'all objects'}"):
                answer = self._s3.list_objects_v2(
                    Bucket=self.conf.bucket,
                    Prefix=prefix,
                    MaxKeys=MAX_KEYS,
                    **token,  # type: ignore[arg-type]
                )
            listed = [Listed(one["Key"], one["Size"], one["LastModified"]) for one in answer.get("Contents", [])]
            yield Page(listed, _clock(answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")))
            if not answer.get("IsTruncated"):
                return
            token = {"ContinuationToken": answer["NextContinuationToken"]}

    def url(self, key: str) -> str:
        """Return where a browser finds the object: at the public URL, else through this site."""
        if self.conf.public_url:
            return f"{self.conf.public_url}/{quote(keys.check(key), safe='/=~')}"
        return self.guarded_url(key)

    def guarded_url(self, key: str) -> str:
        """Return where this site serves the object, to those who may read it."""
        return reverse("storage:object", args=[self.conf.name, keys.check(key)])


def store(name: str) -> Store:
    """Return the store called `content` or `assets`. Raises a permanent StorageError where there is none."""
    return Store(store_conf(name))


def _noted(key: str, failures: list[KeyFailure]) -> bool:
    """Add a key to the failures that must not be sent: one control character would spoil the whole request."""
    try:
        keys.check(key)
    except InvalidKey as exc:
        failures.append(KeyFailure(key, str(exc), permanent=True))
        return True
    return False


def _clock(date: str) -> datetime:
    try:
        return parsedate_to_datetime(date)
    except ValueError:
        return datetime.now(UTC)


_lock = threading.Lock()
_clients: dict[StoreConf, tuple[int, "S3Client"]] = {}


def _connected(conf: StoreConf) -> "S3Client":
    """Return this process's client for a store; a connection inherited through a fork belongs to the parent."""
    pid, client = _clients.get(conf, (0, None))
    if client is not None and pid == os.getpid():
        return client
    with _lock:
        client = _connect(conf)
        _clients[conf] = (os.getpid(), client)
    return client


def _connect(conf: StoreConf) -> "S3Client":
    # As in `storage.failures`: most processes never need it.
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    client = boto3.session.Session().client(
        "s3",
        endpoint_url=conf.endpoint,
        region_name=conf.region,
        aws_access_key_id=conf.access_key,
        aws_secret_access_key=conf.secret_key,
        config=Config(
            connect_timeout=conf.connect_seconds,
            read_timeout=conf.read_seconds,
            retries={"total_max_attempts": 1},
            max_pool_connections=20,
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            # R2 refuses the checksums that boto3 adds to uploads unasked.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    # Last, since the body is final then, and not signed yet.
    client.meta.events.register_last("before-call.s3.DeleteObjects", _with_md5)
    return client


def _with_md5(params: dict[str, Any], **_: Any) -> None:
    """Give a request the checksum that every store takes, in place of boto3's CRC32, which older ones do not count."""
    params["context"].pop("checksum", None)
    digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()
