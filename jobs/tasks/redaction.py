"""Arguments as people may see them: what a task names in `redact` is hidden, in every page, answer and log."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from jobs.errors import InvalidOption
from jobs.tasks.encryption import is_encrypted
from jobs.tasks.registry import registered

#: What stands where a value is hidden.
HIDDEN = "[redacted]"

#: What stands where a value cannot be read without a key.
ENCRYPTED = "[encrypted]"

#: A piece of a hidden text that is so long is hidden wherever it stands: errors repeat long values in part.
PIECE = 8

#: Shorter values (a digit, two letters) say nothing, and to hide them would hide half of every text.
LEAST = 3

#: So many characters of the hidden values are looked for in a text, and so many short values of several words.
MOST, MOST_WORDS = 200_000, 1_000

#: Where pydantic repeats a value, shortened in its own way.
_INPUT_VALUE = re.compile(r"input_value=.*?(?=, input_type=\w+\])", re.DOTALL)


def shown_arguments(
    task_name: str, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None
) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of a job as they may be shown. The arguments of a task unknown here are hidden whole."""
    args, kwargs = list(args or ()), dict(kwargs or {})
    if is_encrypted(kwargs):
        return [], dict.fromkeys(_parameters(registered().get(task_name)) or ["arguments"], ENCRYPTED)
    hidden = hidden_names(task_name)
    if hidden is True:
        return [HIDDEN] * len(args), dict.fromkeys(kwargs, HIDDEN)
    if not hidden:
        return args, kwargs
    task = registered()[task_name]
    positions = _parameters(task)
    if getattr(task, "version", 1) > 1:
        # The job may be of an earlier version: then these are other arguments, under names of that time.
        known = {name: value for name, value in kwargs.items() if name in positions and name not in hidden}
        return [HIDDEN] * len(args), {name: known.get(name, HIDDEN) for name in kwargs}
    shown_args = [
        HIDDEN if index >= len(positions) or positions[index] in hidden else value for index, value in enumerate(args)
    ]
    return shown_args, {name: HIDDEN if name in hidden else value for name, value in kwargs.items()}


def hidden_names(task_name: str) -> frozenset[str] | Literal[True]:
    """Return the names of the arguments that a task hides; true for all of them, also where nobody knows the task."""
    task = registered().get(task_name)
    hidden: Iterable[str] | bool = True if task is None else getattr(task, "redact", ())
    return True if hidden is True else frozenset(hidden or ())


def is_hidden(task_name: str, argument: str) -> bool:
    """Return whether a named argument of a task is hidden; searching for its value is then refused, too."""
    hidden = hidden_names(task_name)
    return hidden is True or argument in hidden


def is_hidden_somewhere(argument: str) -> bool:
    """Return whether any task known here hides an argument of this name."""
    return any(
        argument in (_parameters(task) if task.redact is True else task.redact)
        for task in registered().values()
        if getattr(task, "redact", ())
    )


def without_hidden(task_name: str, args: Sequence[Any], kwargs: Mapping[str, Any], text: str) -> str:
    """Return a text (an error, a traceback) without the values of a job's hidden arguments, and long pieces of them."""
    hidden = _hidden_values(task_name, args, kwargs)
    if not hidden:
        return text
    words, pieces = _sought(hidden)
    text = _INPUT_VALUE.sub(f"input_value={HIDDEN}", text)
    return _without_pieces(_without_words(text, words), pieces)


def _sought(hidden: Sequence[Any]) -> tuple[set[str], set[str]]:
    """Return the short values to be looked for as words, and all pieces of the long ones, in lower case."""
    words: set[str] = set()
    pieces: set[str] = set()
    left = MOST
    for value in _leaves(hidden):
        # As it is, and as Python and JSON write it.
        for form in map(_lower, {value, repr(value)[1:-1], json.dumps(value)[1:-1]}):
            if LEAST <= len(form) < PIECE:
                words.add(form)
            pieces.update(form[start : start + PIECE] for start in range(min(len(form) - PIECE + 1, left)))
            left = max(0, left - len(form))
    return words, pieces


def _lower(text: str) -> str:
    """Return a text in lower case where that leaves each sign in its place."""
    lower = text.lower()
    return lower if len(lower) == len(text) else text


def _without_words(text: str, words: set[str]) -> str:
    def hide(match: re.Match[str]) -> str:
        return HIDDEN if _lower(match[0]) in words else match[0]

    # Many words cost no more than one: each word of the text is looked up. A number is one also within a word.
    text = re.sub(r"\d+", hide, re.sub(r"[^\W_]+", hide, text))
    of_several = [re.escape(word) for word in words if not word.isalnum()][:MOST_WORDS]
    return (
        re.sub(rf"(?<!\w)(?:{'|'.join(of_several)})(?!\w)", HIDDEN, text, flags=re.IGNORECASE) if of_several else text
    )


def _without_pieces(text: str, pieces: set[str]) -> str:
    lower = _lower(text)
    parts: list[str] = []
    kept = at = 0
    while at <= len(text) - PIECE:
        if lower[at : at + PIECE] not in pieces:
            at += 1
            continue
        parts += [text[kept:at], HIDDEN]
        while lower[at : at + PIECE] in pieces:
            at += 1
        kept = at = at + PIECE - 1
    return "".join([*parts, text[kept:]])


def _hidden_values(task_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    if not hidden_names(task_name):
        return []
    shown_args, shown_kwargs = shown_arguments(task_name, args, kwargs)
    hidden = [value for value, shown in zip(args, shown_args, strict=True) if shown == HIDDEN]
    return hidden + [value for name, value in kwargs.items() if shown_kwargs[name] == HIDDEN]


def _leaves(value: Any) -> Iterator[str]:
    """Return the texts and numbers in a value, however deep they lie."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, (list, tuple, set, frozenset)):
            waiting += one
        elif one is not None and not isinstance(one, bool):
            yield str(one)


def shown_unique_key(task_name: str, key: str | None) -> str:
    """Return by what a waiting job is unique, as it may be shown: of a task that hides anything, not at all."""
    return HIDDEN if key and hidden_names(task_name) else key or ""


def tasks_showing(argument: str = "") -> list[str]:
    """Return the tasks that hide nothing, or not this argument: what may be searched."""
    shown = []
    for name, task in registered().items():
        hidden = getattr(task, "redact", ())
        if not hidden or (argument and hidden is not True and argument not in hidden):
            shown.append(name)
    return sorted(shown)


def tasks_taking(argument: str) -> dict[int, list[str]]:
    """Return the tasks that take an argument of this name, by its position."""
    found: dict[int, list[str]] = {}
    for name, task in registered().items():
        parameters = _parameters(task)
        if argument in parameters:
            found.setdefault(parameters.index(argument), []).append(name)
    return found


def _parameters(task: Any) -> list[str]:
    try:
        return list(task.takes.parameters) if hasattr(type(task), "takes") else []
    except InvalidOption:
        # A batch task that does not say what its jobs take: it cannot have any.
        return []
