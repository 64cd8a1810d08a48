"""Files taken apart: pixels decide whether an image is taken; how much work they are is known before it is done."""

import contextlib
import io
import time
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image, ImageCms, ImageOps

from storage import formats, images
from storage.errors import InvalidImage
from tests.storage.pictures import (
    animation,
    chunk,
    picture,
    png_claiming,
    riff,
    segment,
    webp_with,
    with_chunks,
    with_orientation,
    with_scans,
    with_segments,
)

WIDTHS = (320, 640)
JPEG, PNG, WEBP, GIF = (picture(40, 30, form=form) for form in ("JPEG", "PNG", "WEBP", "GIF"))
GARBAGE = [b"", b"abc", b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 300, b"\0" * 5000]
#: Inflates to 60 MB.
BOMB = zlib.compress(b"\0" * 60_000_000, 9)


def inspect(data: bytes, max_pixels: int = 1_000_000) -> images.ImageInfo:
    return images.inspect(io.BytesIO(data), max_bytes=10_000_000, max_pixels=max_pixels)


def made(data: bytes, max_pixels: int = 1_000_000) -> Image.Image:
    """Return the largest version, decoded."""
    return Image.open(io.BytesIO(next(images.variants(data, WIDTHS, max_pixels=max_pixels)).data))


# Metadata decides nothing


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
@pytest.mark.parametrize(
    "spoil",
    [
        lambda garbage: with_segments(JPEG, segment(0xE1, b"Exif\0\0" + garbage)),
        lambda garbage: with_segments(JPEG, segment(0xE2, b"ICC_PROFILE\0\1\1" + garbage)),
        lambda garbage: with_segments(JPEG, segment(0xE2, b"MPF\0" + garbage)),
        lambda garbage: with_segments(JPEG, segment(0xED, b"Photoshop 3.0\0" + garbage), segment(0xFE, garbage)),
        lambda garbage: with_segments(JPEG, segment(0xE0, garbage), segment(0xEF, garbage)),
        lambda garbage: JPEG + garbage,
        lambda garbage: with_chunks(PNG, chunk(b"eXIf", garbage)),
        lambda garbage: with_chunks(PNG, chunk(b"iCCP", garbage), chunk(b"tIME", garbage), chunk(b"pHYs", garbage)),
        lambda garbage: with_chunks(PNG, chunk(b"iTXt", garbage), chunk(b"zTXt", garbage), chunk(b"tEXt", garbage)),
        lambda garbage: with_chunks(PNG, chunk(b"gAMA", garbage), chunk(b"sRGB", garbage), chunk(b"acTL", garbage)),
        lambda garbage: with_chunks(PNG, chunk(b"tEXt", garbage)[:-1] + b"?"),
        lambda garbage: webp_with(40, 30, (b"EXIF", garbage), (b"XMP ", garbage), (b"ICCP", garbage)),
        lambda garbage: GIF[:-1] + b"\x21\xfe\x03abc\0" + b"\x21\xff\x0bXMP DataXMP\x02ab\0" + b";" + garbage,
    ],
    ids=range(13),
)
def test_garbage_beside_the_pixels_is_passed_over(spoil: Callable[[bytes], bytes], garbage: bytes) -> None:
    data = spoil(garbage)
    assert (inspect(data).width, inspect(data).height) == (40, 30)
    assert made(data).size == (40, 30)


@pytest.mark.parametrize(
    "data",
    [
        with_chunks(PNG, chunk(b"iCCP", b"x\0\0" + BOMB)),
        with_chunks(PNG, chunk(b"zTXt", b"x\0\0" + BOMB)),
        with_chunks(PNG, chunk(b"iTXt", b"x\0\1\0\0\0" + BOMB)),
        with_chunks(PNG, chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b"<x/>" * 500_000)),
        with_chunks(PNG, *[chunk(b"tEXt", b"a\0" + b"b" * 10_000)] * 500),
        webp_with(40, 30, (b"XMP ", b"x" * 5_000_000)),
        with_segments(
            JPEG, *[segment(0xE2, b"ICC_PROFILE\0" + bytes([n, 255]) + b"x" * 60_000) for n in range(1, 100)]
        ),
    ],
    ids=["iccp-bomb", "ztxt-bomb", "itxt-bomb", "large-itxt", "much-text", "large-xmp", "large-icc"],
)
def test_large_metadata_is_neither_unpacked_nor_a_reason_to_refuse(data: bytes) -> None:
    assert inspect(data).width == 40
    assert made(data).size == (40, 30)


def exif(tag: int, kind: int, count: int, value: int) -> bytes:
    entry = tag.to_bytes(2, "little") + kind.to_bytes(2, "little") + count.to_bytes(4, "little")
    return b"Exif\0\0II*\0\x08\0\0\0\x01\0" + entry + value.to_bytes(4, "little") + b"\0\0\0\0"


@pytest.mark.parametrize(
    "said, turned",
    [
        (exif(0x0112, 3, 1, 6), True),
        (exif(0x0112, 3, 1, 1), False),
        (exif(0x0112, 3, 1, 9), False),
        (exif(0x0112, 2, 4, 0x00636261), False),
        (exif(0x0112, 3, 2, 6), False),
        (exif(0x0112, 3, 1, 6)[:20], False),
    ],
    ids=["turned", "upright", "nine", "letters", "two", "cut"],
)
def test_an_image_is_turned_only_where_its_exif_says_so_in_its_way(said: bytes, turned: bool) -> None:
    upright = (30, 40) if turned else (40, 30)
    for data in (
        with_segments(JPEG, segment(0xE1, said)),
        with_chunks(PNG, chunk(b"eXIf", said[6:])),
        webp_with(40, 30, (b"EXIF", said)),
    ):
        assert (inspect(data).width, inspect(data).height) == upright
        assert made(data).size == upright


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_direction_is_turned_as_pillow_turns_it(orientation: int) -> None:
    data = with_orientation(picture(40, 30), orientation)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    difference = made(data).convert("RGB").resize((4, 4)), expected.resize((4, 4))
    assert all(abs(a - b) < 12 for a, b in zip(*(image.tobytes() for image in difference), strict=True))


# Colours


def swapped() -> bytes:
    """Return a profile in which red and blue are each other."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = profile.index(b"rXYZ", 128), profile.index(b"bXYZ", 128)
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(profile)


@pytest.mark.parametrize(
    "form, mode", [("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "P"), ("WEBP", "RGB"), ("WEBP", "RGBA")]
)
def test_colours_are_those_of_the_profile_whatever_holds_them(form: str, mode: str) -> None:
    output = io.BytesIO()
    options = {"lossless": True} if form == "WEBP" else {}
    red = Image.new("RGBA", (40, 40), (255, 0, 0, 128 if mode == "RGBA" else 255))
    red.convert(mode).save(output, form, icc_profile=swapped(), **options)
    pixel = made(output.getvalue()).convert("RGBA").getpixel((5, 5))
    assert pixel == pytest.approx((0, 0, 255, 128 if mode == "RGBA" else 255), abs=12)


@pytest.mark.parametrize("mode", ["L", "LA", "1", "I;16", "CMYK"])
def test_a_profile_of_other_colours_than_the_image_has_spoils_nothing(mode: str) -> None:
    output = io.BytesIO()
    form = "JPEG" if mode == "CMYK" else "PNG"
    Image.new("L", (40, 40), 255).convert(mode).save(output, form, icc_profile=swapped())
    assert made(output.getvalue()).size == (40, 40)


# Cut off


WHOLE = {
    "jpeg": JPEG,
    "progressive": picture(40, 30, progressive=True),
    "png": PNG,
    "webp": WEBP,
    "gif": GIF,
    "moving-gif": animation("GIF"),
    "moving-webp": animation("WEBP"),
    "moving-png": animation("PNG"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_cut_file_is_refused_wherever_it_was_cut(name: str) -> None:
    data = WHOLE[name]
    for end in range(12, len(data) - 1, max(1, len(data) // 150)):
        with pytest.raises(InvalidImage):
            inspect(data[:end])


@settings(max_examples=150)
@given(
    st.sampled_from(sorted(WHOLE)), st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4)), max_size=4)
)
def test_whatever_is_changed_in_a_file_it_is_taken_or_refused(name: str, changes: list[tuple[float, bytes]]) -> None:
    data = bytearray(WHOLE[name])
    for place, written in changes:
        start = int(place * (len(data) - 1))
        data[start : start + len(written)] = written
    try:
        inspect(bytes(data))
        list(images.variants(bytes(data), WIDTHS, max_pixels=1_000_000))
    except InvalidImage as refusal:
        assert str(refusal).startswith("The ")  # noqa: PT017  Either will do.


# What would be too much work


@pytest.mark.parametrize(
    "data, reason",
    [
        (with_scans(306), "306 scans"),
        (with_scans(65), "65 scans"),
        (with_scans(30, side=900), "30 scans"),
        (png_claiming(30_000, 30_000), "too many pixels"),
        (animation("GIF", frames=1_001, width=2, height=2), "1,001 pictures"),
        (animation("PNG", frames=100, width=900, height=900, mode="L"), "100 pictures of 900 by 900"),
        (animation("WEBP", frames=1_100, width=2, height=2, kmin=1, kmax=1), "1,100 pictures"),
        (with_segments(JPEG, *[segment(0xFE, b"")] * 200_001), "more than 200,000 parts"),
        (with_chunks(PNG, *[chunk(b"tEXt", b"")] * 200_001), "more than 200,000 parts"),
        (riff(*[(b"XMP ", b"")] * 200_001), "more than 200,000 parts"),
        (GIF[:-1] + b"\x21\xfe" + b"\x01a" * 1_000_001 + b"\0;", "more than 200,000 parts"),
    ],
    ids=[
        "scans",
        "one-scan-more",
        "many-pixels",
        "pixels",
        "gif",
        "apng",
        "webp",
        "segments",
        "chunks",
        "riff",
        "blocks",
    ],
)
def test_what_costs_more_than_it_is_worth_is_refused_at_once(data: bytes, reason: str) -> None:
    began = time.process_time()
    with pytest.raises(InvalidImage, match=reason):
        inspect(data)
    # Seconds would mean that something was decoded.
    assert time.process_time() - began < 2


@pytest.mark.parametrize("filler", [b"\xff", b"\xff\x00", b"\x00", b"\xff\xd0", b"\xff\xfe\x00\x02"])
@pytest.mark.parametrize("data", [JPEG, PNG, WEBP, GIF], ids=["jpeg", "png", "webp", "gif"])
def test_looking_at_a_file_takes_time_in_proportion_to_its_length(data: bytes, filler: bytes) -> None:
    began = time.process_time()
    much = filler * (2_000_000 // len(filler))
    for place in (len(data) - 2, len(data) // 2):
        for rest in (data[place:], b"", b"\0"):
            with contextlib.suppress(InvalidImage):
                inspect(data[:place] + much + rest)
    assert time.process_time() - began < 5


def test_an_ordinary_progressive_jpeg_is_taken() -> None:
    assert made(picture(1000, 1000, progressive=True)).width == 640
    assert made(with_scans(64)).size == (64, 64)


def test_nothing_is_decoded_when_a_file_is_looked_at() -> None:
    broken = chunk(b"IDAT", b"no zlib at all")
    start = PNG.index(b"IDAT") - 4
    data = PNG[:start] + broken + chunk(b"IEND", b"")
    assert inspect(data).width == 40
    with pytest.raises(InvalidImage, match="damaged"):
        made(data)


# Animations


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_an_animation_stays_one(form: str) -> None:
    sizes = []
    for variant in images.variants(animation(form, width=700, height=300), WIDTHS, max_pixels=1_000_000):
        image = Image.open(io.BytesIO(variant.data))
        sizes.append(image.size)
        assert (image.format, image.n_frames, image.info["loop"]) == ("WEBP", 5, 0)  # type: ignore[attr-defined]
        greens = []
        for number in range(5):
            image.seek(number)
            image.load()
            assert image.info["duration"] == 50
            greens.append(image.convert("RGB").getpixel((9, 9))[0])  # type: ignore[index]
        assert greens == sorted(greens)
    assert sizes == [(640, 274), (320, 137)]


def test_an_animation_is_played_as_often_as_it_says() -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    for said, plays in (({"loop": 0}, 0), ({"loop": 2}, 3), ({}, 1)):
        data = io.BytesIO()
        frames[0].save(data, "GIF", save_all=True, append_images=frames[1:], duration=50, **said)
        assert made(data.getvalue()).info["loop"] == plays


def test_the_still_picture_before_an_animated_png_is_no_frame_of_it() -> None:
    output = io.BytesIO()
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "green", "blue")]
    frames[0].save(output, "PNG", save_all=True, append_images=frames[1:], default_image=True)
    assert getattr(made(output.getvalue()), "n_frames", 1) == 2


def test_nothing_of_a_camera_is_left_in_what_is_published() -> None:
    secret = exif(0x0112, 3, 1, 1) + b"52 31 N 13 24 E"
    for data in (
        with_segments(JPEG, segment(0xE1, secret)),
        with_chunks(PNG, chunk(b"eXIf", secret[6:]), chunk(b"tEXt", b"GPS\0" + secret)),
        webp_with(40, 30, (b"EXIF", secret), (b"XMP ", secret)),
    ):
        assert b"52 31 N" in data
        assert all(b"52 31 N" not in one.data for one in images.variants(data, WIDTHS, max_pixels=10_000))
        assert b"52 31 N" not in formats.read(data).pixels
