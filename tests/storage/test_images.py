"""Images: known by their content, bounded before they are decoded, made small without what a camera wrote."""

import io

import pytest
from PIL import Image, ImageCms

from storage import images
from storage.errors import InvalidImage
from tests.storage.pictures import picture, png_claiming, with_orientation

WIDTHS = (320, 640, 1280)


def inspect(data: bytes, *, max_bytes: int = 1_000_000, max_pixels: int = 1_000_000) -> images.ImageInfo:
    return images.inspect(io.BytesIO(data), max_bytes=max_bytes, max_pixels=max_pixels)


def variants(data: bytes) -> list[images.Variant]:
    return list(images.variants(data, WIDTHS, max_pixels=10_000_000))


@pytest.mark.parametrize(
    "form, content_type, extension",
    [
        ("JPEG", "image/jpeg", "jpg"),
        ("MPO", "image/jpeg", "jpg"),
        ("PNG", "image/png", "png"),
        ("WEBP", "image/webp", "webp"),
        ("GIF", "image/gif", "gif"),
    ],
)
def test_the_type_is_that_of_the_content(form: str, content_type: str, extension: str) -> None:
    assert inspect(picture(40, 30, form=form)) == images.ImageInfo(content_type, extension, 40, 30)


def test_the_size_is_that_of_the_image_held_upright() -> None:
    found = inspect(with_orientation(picture(40, 30), 6))
    assert (found.width, found.height) == (30, 40)


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"", "no image we know"),
        (b"GIF89a nonsense", "image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "no image we know"),
        (b"<html><script>alert(1)</script>", "no image we know"),
        (picture(40, 30, form="TIFF"), "no image we know"),
        (picture(400, 300)[:2000], "damaged"),
        (picture(400, 300, form="PNG")[:300], "damaged"),
        (png_claiming(30_000, 30_000), "too many pixels|must not have more than 1 million"),
        (png_claiming(11_000, 11_000), "too many pixels|must not have more than 1 million"),
        (png_claiming(2_000, 2_000), "must not have more than 1 million"),
        (png_claiming(20_000, 10), "no side may have more than 16,000"),
        (b"\0" * 1_000_001, "1.0 MB: it must not have more than 1 MB"),
    ],
    ids=["empty", "gif", "svg", "html", "tiff", "cut-jpeg", "cut-png", "bomb", "big", "large", "long", "heavy"],
)
def test_what_is_no_image_of_ours_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidImage, match=reason) as refusal:
        inspect(data)
    assert refusal.value.permanent


def test_variants_are_never_larger_than_the_image() -> None:
    made = variants(picture(700, 350))
    assert [(one.name, one.width, one.height) for one in made] == [
        ("w1280.webp", 700, 350),
        ("w640.webp", 640, 320),
        ("w320.webp", 320, 160),
    ]
    for one in made:
        with Image.open(io.BytesIO(one.data)) as image:
            assert (image.format, image.size) == ("WEBP", (one.width, one.height))


def test_a_tiny_image_has_one_variant_and_a_large_one_all() -> None:
    assert [one.name for one in variants(picture(10, 10))] == ["w320.webp"]
    assert [one.width for one in variants(picture(3000, 100))] == [1280, 640, 320]


def test_variants_stand_upright_and_carry_no_metadata() -> None:
    [made] = variants(with_orientation(picture(90, 60, icc_profile=_profile()), 6))
    with Image.open(io.BytesIO(made.data)) as image:
        assert image.size == (60, 90)
        assert not dict(image.getexif())
        assert not {"exif", "icc_profile", "xmp"} & image.info.keys()


def _profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_stays(mode: str) -> None:
    output = io.BytesIO()
    Image.new("RGBA", (40, 40), (255, 0, 0, 0)).convert(mode).save(output, "PNG")
    [made] = variants(output.getvalue())
    with Image.open(io.BytesIO(made.data)) as image:
        assert image.mode == "RGBA"
        assert image.getpixel((5, 5))[3] == 0  # type: ignore[index]


@pytest.mark.parametrize("form, mode", [("JPEG", "CMYK"), ("JPEG", "L"), ("PNG", "I;16"), ("PNG", "1"), ("GIF", "P")])
def test_every_kind_of_pixel_becomes_eight_bit_colour(form: str, mode: str) -> None:
    if mode == "I;16":
        output = io.BytesIO()
        Image.new("I;16", (40, 40), 32_768).save(output, "PNG")
        data = output.getvalue()
    else:
        data = picture(40, 40, form=form, mode=mode)
    [made] = variants(data)
    with Image.open(io.BytesIO(made.data)) as image:
        assert image.mode == "RGB"
        if mode == "I;16":
            assert image.getpixel((5, 5)) == pytest.approx((128, 128, 128), abs=3)


def test_the_same_image_makes_the_same_bytes() -> None:
    data = picture(700, 350)
    assert variants(data) == variants(data)
