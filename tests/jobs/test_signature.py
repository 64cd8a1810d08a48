"""Whether arguments fit a task is told without binding them where that is evident, and always as binding tells it."""

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, strategies as st

from jobs.errors import InvalidArguments
from jobs.tasks.signature import TaskSignature


def plain(a: Any, b: Any) -> None: ...
def defaults(a: Any, b: Any = 1, *, c: Any = 2) -> None: ...
def by_name(a: Any, *, b: Any, c: Any = 2) -> None: ...
def by_place(a: Any, b: Any = 1, /, c: Any = 2) -> None: ...
def many(a: Any, *args: Any, b: Any = 1) -> None: ...
def named(a: Any, /, **kwargs: Any) -> None: ...
def nothing() -> None: ...


@pytest.mark.parametrize("function", [plain, defaults, by_name, by_place, many, named, nothing, str])
@given(args=st.lists(st.just(0), max_size=4), names=st.sets(st.sampled_from(["a", "b", "c", "d", "args", "kwargs"])))
def test_arguments_fit_where_they_can_be_bound(function: Callable[..., Any], args: list[int], names: set[str]) -> None:
    takes = TaskSignature("x", function)
    kwargs = dict.fromkeys(names)
    try:
        bound = inspect.signature(function).bind(*args, **kwargs) if function is not str else None
    except TypeError as exc:
        with pytest.raises(InvalidArguments, match=re.escape(str(exc))):
            takes.check(args, kwargs)
    else:
        takes.check(args, kwargs)
        if bound is not None:
            bound.apply_defaults()
            assert takes.named(args, kwargs) == bound.arguments
