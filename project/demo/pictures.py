"""Pictures of nights, drawn: the same number gives the same picture."""

import io
import random

from PIL import Image, ImageDraw, ImageFilter

SIZE = (1600, 1000)
#: The sky above and at the horizon, the hills, and the light in the windows.
_NIGHTS = (
    ((13, 19, 46), (84, 62, 112), (18, 20, 40), (255, 190, 92)),
    ((8, 28, 48), (36, 104, 122), (8, 26, 38), (255, 214, 140)),
    ((26, 16, 44), (176, 84, 92), (30, 18, 40), (255, 176, 84)),
    ((10, 14, 30), (48, 66, 122), (12, 16, 34), (250, 222, 160)),
)


def night(number: int) -> bytes:
    """Return a JPEG: sky, moon, stars, hills, and a town in which somebody works."""
    draw = random.Random(number)  # noqa: S311
    above, horizon, hill, light = _NIGHTS[number % len(_NIGHTS)]
    picture = _sky(above, horizon)
    _moon(picture, draw)
    pen = ImageDraw.Draw(picture)
    for _ in range(220):
        x, y = draw.randrange(SIZE[0]), int(SIZE[1] * 0.65 * draw.random() ** 1.4)
        shine = draw.randint(120, 255)
        pen.ellipse((x, y, x + draw.randint(1, 3), y + draw.randint(1, 3)), fill=(shine, shine, shine))
    for depth in range(3):
        _hills(pen, draw, depth, tuple(int(part * (1.9 - 0.45 * depth)) for part in hill))
    _town(pen, draw, hill, light)
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=85)
    return written.getvalue()


def _sky(above: tuple[int, ...], horizon: tuple[int, ...]) -> Image.Image:
    # One column of pixels, drawn out to the full width.
    column = Image.new("RGB", (1, SIZE[1]))
    for y in range(SIZE[1]):
        share = (y / SIZE[1]) ** 1.5
        column.putpixel((0, y), tuple(int(a + (b - a) * share) for a, b in zip(above, horizon, strict=True)))
    return column.resize(SIZE)


def _moon(picture: Image.Image, draw: random.Random) -> None:
    x, y, size = draw.randint(200, SIZE[0] - 300), draw.randint(90, 300), draw.randint(60, 120)
    glow = Image.new("L", SIZE)
    ImageDraw.Draw(glow).ellipse((x - size, y - size, x + 2 * size, y + 2 * size), fill=90)
    picture.paste((255, 240, 214), mask=glow.filter(ImageFilter.GaussianBlur(size // 2)))
    ImageDraw.Draw(picture).ellipse((x, y, x + size, y + size), fill=(255, 244, 224))


def _hills(pen: ImageDraw.ImageDraw, draw: random.Random, depth: int, colour: tuple[int, ...]) -> None:
    height = SIZE[1] * (0.62 + 0.11 * depth)
    points = [(x, height - draw.randint(0, 150 - 35 * depth)) for x in range(0, SIZE[0] + 200, 200)]
    pen.polygon([(0, SIZE[1]), *points, (SIZE[0], SIZE[1])], fill=colour)


def _town(pen: ImageDraw.ImageDraw, draw: random.Random, wall: tuple[int, ...], light: tuple[int, ...]) -> None:
    x = draw.randint(60, 500)
    while x < SIZE[0] - 200:
        width, top = draw.randint(70, 150), SIZE[1] - draw.randint(110, 330)
        pen.rectangle((x, top, x + width, SIZE[1]), fill=tuple(part // 2 for part in wall))
        for left in range(x + 14, x + width - 22, 28):
            for upper in range(top + 18, SIZE[1] - 20, 38):
                if draw.random() < 0.3:
                    pen.rectangle((left, upper, left + 12, upper + 18), fill=light)
        x += width + draw.randint(6, 160)
