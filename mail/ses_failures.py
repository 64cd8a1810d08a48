"""What refusals of Amazon SES and failures on the way to it mean for a message."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore import exceptions as boto

from mail.addresses import Address
from mail.conf import SesConf
from mail.errors import MailError, one_line

#: Refused because of when, not what. The codes of SendEmail (https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html#API_SendEmail_Errors),
#: those common to Amazon's services, and those that botocore takes for throttling. An account that may not send
#: is mended by people within hours or days; its mails wait, as for a relay that is down.
_PASSING = frozenset(
    {
        "AccountSuspendedException",
        "BandwidthLimitExceeded",
        "ConcurrentModificationException",
        "ExpiredToken",
        "ExpiredTokenException",
        "InternalFailure",
        "InternalServiceErrorException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "RequestExpired",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "SendingPausedException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)

_CREDENTIALS = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "OptInRequired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)

#: Refused because of this mail, unless it says that the sender is at fault; another recipient's may be taken.
_OF_RECIPIENT = frozenset({"BadRequestException", "MessageRejected"})

#: What a signature is refused with where our clock is wrong; the clock will be set.
_CLOCK = ("Signature expired", "Signature not yet current")


@contextmanager
def explained(conf: SesConf, sender: Address, recipient: Address) -> Iterator[None]:
    """Turn whatever boto3 raises while SES is given a mail into a MailError."""
    what = f"the mail to {recipient}"
    try:
        yield
    except boto.ClientError as exc:
        raise _refusal(conf, what, exc, sender) from exc
    except boto.ConnectTimeoutError as exc:
        raise _failure(conf, f"does not accept a connection within {conf.connect_seconds:g} s") from exc
    except boto.ReadTimeoutError as exc:
        raise _failure(conf, f"did not answer within {conf.read_seconds:g} s") from exc
    except boto.NoCredentialsError as exc:
        said = (
            "cannot be asked: no credentials found. Set SES_ACCESS_KEY and SES_SECRET_KEY, or give the machine a role"
        )
        raise _failure(conf, said) from exc
    except boto.ParamValidationError as exc:
        raise _failure(conf, f"cannot be given {what}: {one_line(str(exc))}", permanent=True) from exc
    except (boto.BotoCoreError, OSError) as exc:
        raise _failure(conf, f"is out of reach: {one_line(str(exc))}") from exc


def _refusal(conf: SesConf, what: str, exc: boto.ClientError, sender: Address) -> MailError:
    error = exc.response.get("Error", {})
    code, words = str(error.get("Code", "")), one_line(str(error.get("Message", "")))
    status = int(exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    permanent = not _passes(code, words, status)
    said = f"{'refused' if permanent else 'put off'} {what}: {code}{words and ': '}{words.rstrip('.')}"
    if permanent and code in _CREDENTIALS:
        said += ". Check SES_ACCESS_KEY and SES_SECRET_KEY, and what they may do"
    of_recipient = permanent and code in _OF_RECIPIENT and str(sender) not in words and sender.domain not in words
    return _failure(conf, said, permanent=permanent, of_recipient=of_recipient)


def _passes(code: str, words: str, status: int) -> bool:
    """Return whether a refusal may be another answer later. What is no refusal at all (a redirection) passes too."""
    return code in _PASSING or words.startswith(_CLOCK) or not 400 <= status < 500 or status in {408, 429}


def _failure(conf: SesConf, said: str, *, permanent: bool = False, of_recipient: bool = False) -> MailError:
    return MailError(f"Amazon SES in {conf.region} {said}.", permanent=permanent, of_recipient=of_recipient)
