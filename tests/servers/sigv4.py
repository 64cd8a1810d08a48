"""Amazon's signature of a request, version 4, as a server checks it: written from its description, not from botocore.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
import re
from email.message import Message
from urllib.parse import quote

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<date>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, "
    r"SignedHeaders=(?P<names>[a-z0-9;-]+), Signature=(?P<signature>[0-9a-f]{64})"
)


def problem(
    method: str, path: str, headers: "Message[str, str]", body: bytes, *, secret: str, region: str, service: str
) -> str:
    """Return the code with which Amazon refuses a request so signed, or an empty text where it is right."""
    match = AUTHORIZATION.fullmatch(headers.get("Authorization", ""))
    if match is None:
        return "IncompleteSignature"
    names = match["names"].split(";")
    if not {"host", "x-amz-date"} <= set(names) or (match["region"], match["service"]) != (region, service):
        return "SignatureDoesNotMatch"
    lines = "".join(f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in names)
    payload = hashlib.sha256(body).hexdigest()
    canonical = "\n".join([method, quote(path), "", lines, match["names"], payload])
    moment = headers.get("X-Amz-Date", "")
    scope = f"{match['date']}/{region}/{service}/aws4_request"
    signed = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{secret}".encode()
    for part in (match["date"], region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    expected = hmac.new(key, signed.encode(), "sha256").hexdigest()
    return "" if hmac.compare_digest(expected, match["signature"]) else "SignatureDoesNotMatch"
