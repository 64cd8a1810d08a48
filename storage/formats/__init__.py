"""Image files taken apart by their structure: nothing is decoded, and what is no pixels cannot spoil them."""

from collections.abc import Callable

from storage.errors import InvalidImage
from storage.formats import gif, jpeg, png, webp
from storage.formats.parsed import Parsed

_READERS: dict[bytes, Callable[[bytes], Parsed]] = {
    jpeg.SIGNATURE: jpeg.read,
    png.SIGNATURE: png.read,
    b"GIF87a": gif.read,
    b"GIF89a": gif.read,
    webp.SIGNATURE: webp.read,
}


def read(data: bytes) -> Parsed:
    """Return what the file `data` consists of. Raises InvalidImage: none of ours, cut off, or built to be costly."""
    for signature, reader in _READERS.items():
        if data.startswith(signature):
            return reader(data)
    raise InvalidImage("The file is no image we know: it must be a JPEG, PNG, WebP or GIF.")
