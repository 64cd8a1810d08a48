"""Tracebacks folded to the project's own frames."""

import traceback

import pytest
from hypothesis import given, strategies as st

from jobs.dashboard.tracebacks import Fold, Frame, Part, folded
from tests.seeding_texts import traceback as long_traceback


def kinds(parts: list[Part]) -> list[str]:
    return ["fold" if isinstance(p, Fold) else "own" if isinstance(p, Frame) and p.is_own else "text" for p in parts]


def test_frames_of_others_are_folded_and_counted() -> None:
    parts = folded(long_traceback("Refused: no", deep=True))
    assert kinds(parts) == ["text", "fold", "own", "own", "fold", "text"]
    folds = [part.words for part in parts if isinstance(part, Fold)]
    assert folds == ["1 frame of the engine", "92 frames of deep, Python"]


def test_a_real_one_is_read() -> None:
    with pytest.raises(AttributeError) as raised:
        folded(None)  # type: ignore[arg-type]
    parts = folded("".join(traceback.format_exception(raised.value)))
    assert kinds(parts)[0] == "text"
    assert isinstance(parts[-1], str)
    assert parts[-1].startswith("AttributeError")


def test_nothing_is_folded_where_all_is_others() -> None:
    text = 'Traceback (most recent call last):\n  File "/usr/lib/python3.11/x.py", line 1, in f\n    g()\nOSError: no'
    assert not any(isinstance(part, Fold) for part in folded(text))


@given(st.text())
def test_whatever_is_no_traceback_stays_as_it_is(text: str) -> None:
    said = [part if isinstance(part, str) else part.text for part in folded(text)]
    assert "\n".join(said).split() == text.split() or "\x0b" in text or text != "\n".join(text.splitlines())
