"""Pixels as browsers and WebP have them: eight bits, sRGB, with transparency where there is some."""

import io

from PIL import Image, ImageCms

#: In which of Pillow's modes a profile wants its pixels, by its colour space (ICC.1:2022, 7.2.6).
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}


def plain(image: Image.Image, profile: bytes) -> Image.Image:
    """Return the image as RGB, or RGBA where something shines through, its colours as the ICC profile means them."""
    if image.mode.startswith("I"):
        # 16 bits of grey: Pillow's own conversion cuts off instead of scaling.
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    if not image.has_transparency_data:
        return _in_srgb(_opaque(image), profile)
    whole = image.convert("RGBA")
    # Grey is left grey, since its profile is one of greys.
    base = image.convert("L") if image.mode in {"LA", "L", "1"} else whole.convert("RGB")
    converted = _in_srgb(base, profile)
    converted.putalpha(whole.getchannel("A"))
    return converted


def _opaque(image: Image.Image) -> Image.Image:
    return image if image.mode in {"RGB", "L", "CMYK"} else image.convert("L" if image.mode == "1" else "RGB")


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Return the image as its profile means it, since the profile goes; as it is where they do not fit together."""
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            mode = _MODES.get(source.profile.xcolor_space.strip(), "")
            if mode == image.mode or (mode, image.mode) == ("RGB", "L"):
                target = ImageCms.createProfile("sRGB")
                fitting = image.convert(mode)
                return ImageCms.profileToProfile(fitting, source, target, outputMode="RGB") or image.convert("RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            # Metadata decides nothing.
            pass
    return image.convert("RGB")
