"""What a store's refusals and silences mean, in our words: which are worth another try, and what mends them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from storage.conf import StoreConf
from storage.errors import ObjectMissing, StorageError

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

_CREDENTIALS = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "Unauthorized", "403"})
_MISSING = frozenset({"NoSuchKey", "NotFound", "404"})
#: Refused because of when, not what; the store says all of these while it is well again soon.
_PASSING = frozenset(
    {
        "InternalError",
        "OperationAborted",
        "RequestTimeTooSkewed",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "TooManyRequests",
    }
)


#: Refused in another region than the bucket's.
_REGION = frozenset({"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"})
#: Refused to everybody who asks like this, whatever the object.
_NOT_OF_KEY = frozenset({"NoSuchBucket", "InvalidAccessKeyId", "SignatureDoesNotMatch"}) | _REGION


@contextmanager
def explained(conf: StoreConf, what: str) -> Iterator[None]:
    """Turn whatever boto3 raises while `what` is done into a StorageError that names it."""
    # Loaded by who talks to a store: it takes as long as all of Django, and most processes never do.
    from botocore import exceptions as boto  # noqa: PLC0415

    try:
        yield
    except boto.ClientError as exc:
        raise refusal(conf, what, exc) from exc
    except boto.ConnectTimeoutError as exc:
        raise StorageError(
            f"Could not {what}: {conf} does not accept a connection within {conf.connect_seconds:g} s."
        ) from exc
    except boto.ReadTimeoutError as exc:
        raise StorageError(f"Could not {what}: {conf} did not answer within {conf.read_seconds:g} s.") from exc
    except (boto.BotoCoreError, OSError) as exc:
        raise StorageError(f"Could not {what}: {conf} is out of reach ({exc}).") from exc


def is_of_request(error: "ClientError") -> bool:
    """Return whether a store refused DeleteObjects as a whole, and may yet delete the objects one by one.

    It does not know that request, wants another checksum, or cannot read one of the keys.
    """
    code = code_of(error)
    return _status_of(error) in {400, 405, 501} and code not in _NOT_OF_KEY | _CREDENTIALS | _PASSING


def is_of_key(error: "ClientError") -> bool:
    """Return whether a store refused to delete an object because of that object, and may delete others."""
    return code_of(error) not in _NOT_OF_KEY


def code_of(error: "ClientError") -> str:
    """Return the code of a refusal, or an empty text."""
    return str(error.response.get("Error", {}).get("Code", ""))


def said_by(error: "ClientError") -> str:
    """Return a refusal in the store's own words."""
    message = str(error.response.get("Error", {}).get("Message", ""))
    return f"{code_of(error)}: {message}" if message else code_of(error)


def _status_of(error: "ClientError") -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def refusal(conf: StoreConf, what: str, error: "ClientError") -> StorageError:
    """Return what a refused request means."""
    code, said = code_of(error), said_by(error)
    if code in _MISSING:
        return ObjectMissing(f"Could not {what}: {conf} has no such object.")
    if code == "NoSuchBucket":
        return StorageError(
            f"Could not {what}: {conf} does not exist. Create the bucket or correct its name in the settings, "
            "then replay this job.",
            permanent=True,
        )
    if code in _CREDENTIALS:
        return StorageError(
            f"Could not {what}: {conf} refuses our credentials ({said}). Correct the access key and secret key, "
            "or what they may do, then replay this job.",
            permanent=True,
        )
    if code in _REGION:
        return StorageError(
            f"Could not {what}: {conf} is not in region {conf.region!r} ({said}). Set {conf.region_setting}, restart "
            "web and workers, then replay this job.",
            permanent=True,
        )
    return StorageError(f"Could not {what}: {conf} says {said}.", permanent=is_permanent(code, _status_of(error)))


def is_permanent(code: str, status: int = 0) -> bool:
    """Return whether a refusal with this code will be repeated whenever the same is asked."""
    if code in _PASSING or status >= 500 or status == 429:
        return False
    return 400 <= status < 500 or code in _CREDENTIALS or code.startswith(("Invalid", "Malformed", "KeyTooLong"))
