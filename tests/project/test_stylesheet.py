"""What the stylesheet promises about itself."""

import re

import pytest
from django.conf import settings

from jobs.core.states import State

CSS = (settings.BASE_DIR / "static" / "css" / "site.css").read_text()
TOKENS = dict(re.findall(r"--([\w-]+): (light-dark\(#\w{6}, #\w{6}\)|var\(--[\w-]+\)|#\w{6});", CSS))
PAPERS = ("paper", "sheet", "sunk")


def colours(name: str) -> tuple[str, str]:
    """Return a token's colour in light and in dark."""
    value = TOKENS[name]
    if value.startswith("var("):
        return colours(value[6:-1])
    light, dark = (re.findall(r"#\w{6}", value) * 2)[:2]
    return light, dark


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [channel / 12.92 if channel <= 0.03928 else ((channel + 0.055) / 1.055) ** 2.4 for channel in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, as WCAG defines it."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize("text", ["ink", "soft", "link", "lamp-text", *(state.value for state in State)])
def test_text_stands_out_in_light_and_dark(text: str, paper: str) -> None:
    for ink, ground in zip(colours(text), colours(paper), strict=True):
        assert contrast(ink, ground) >= 4.5, f"{text} {ink} on {paper} {ground}"


@pytest.mark.parametrize("paper", PAPERS)
def test_the_edges_of_controls_stand_out(paper: str) -> None:
    for edge, ground in zip(colours("edge"), colours(paper), strict=True):
        assert contrast(edge, ground) >= 3, f"{edge} on {paper} {ground}"


def test_the_lit_button_can_be_read() -> None:
    for lamp in colours("lamp"):
        assert contrast(colours("lamp-ink")[0], lamp) >= 4.5


def test_it_stays_small() -> None:
    assert len(CSS.encode()) < 20_000


def test_nothing_comes_from_elsewhere() -> None:
    assert "url(" not in CSS
    assert "@import" not in CSS
