"""Keys of objects: how they are made from parts, and which are refused. Pure: neither store nor clock."""

from storage.errors import InvalidKey

#: S3's limit, in bytes of UTF-8.
MAX_BYTES = 1024

_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


def join(*parts: object) -> str:
    """Return the key made of `parts`, one path segment each; odd characters in them are escaped.

    Raises:
        InvalidKey: a part is empty or the key is too long.
    """
    return check("/".join(escape(str(part)) for part in parts))


def escape(part: str) -> str:
    """Return `part` as one path segment of letters, digits, `-`, `_` and `.`.

    Any other character becomes `=` and two hexadecimal digits for each of its bytes, which needs no second escape
    in a URL, an XML document or a shell. A part of dots alone would climb, so its dots are escaped too.
    """
    plain = _PLAIN if part.strip(".") else frozenset()
    return "".join(sign if sign in plain else _escaped(sign) for sign in part)


def _escaped(sign: str) -> str:
    return "".join(f"={byte:02X}" for byte in sign.encode("utf-8", "surrogatepass"))


def check(key: str) -> str:
    """Return `key` if every store of ours can hold it under that very name. Raises InvalidKey otherwise."""
    fault = _fault(key)
    if fault:
        raise InvalidKey(f"The key {shown(key)} is not valid: it must not {fault}.")
    return key


def _fault(key: str) -> str:
    if not key:
        return "be empty"
    # Before all that looks at each character.
    if len(key) > MAX_BYTES or len(key.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        return f"be longer than {MAX_BYTES} bytes"
    if any(ord(sign) < 32 or ord(sign) == 127 for sign in key):
        return "hold control characters"
    if "\\" in key:
        return "hold a backslash"
    if any("\ud800" <= sign <= "\udfff" for sign in key):
        return "hold a lone surrogate"
    return _path_fault(key.split("/"))


def _path_fault(segments: list[str]) -> str:
    if "" in segments:
        return "begin or end with a slash, nor have two in a row"
    if "." in segments or ".." in segments:
        return "have a segment `.` or `..`"
    return ""


def why_kept(key: str) -> str:
    """Return why a listed key, made by whoever else writes to the bucket, is not to be deleted; empty where it is."""
    if key.endswith("/"):
        return "it stands for a folder"
    if "\ufffd" in key:
        return "its name is not UTF-8, so nobody can ask for it"
    return ""


def fits_xml(key: str) -> bool:
    """Return whether XML 1.0 can hold a key; a line end, too, would come out of it as another one."""
    return not any(ord(sign) < 32 or sign in "\ufffe\uffff" for sign in key)


def fits_url(key: str) -> bool:
    """Return whether no proxy on the way takes the key in a URL for another one."""
    return not _path_fault(key.split("/"))


def shown(key: str) -> str:
    """Return `key` as a message can show it: quoted, unprintable signs escaped, shortened."""
    return ascii(key) if len(key) <= 120 else ascii(key[:120]) + "…"
