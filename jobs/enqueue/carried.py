"""What a row and its message keep of a call, as the JSON that every database can hold: arguments and options."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kombu.utils.json import loads

from jobs.core.canonical import encode, why_not_storable
from jobs.core.delivery import MOST_HEADERS
from jobs.core.places import named_body, without_bodies
from jobs.core.versions import OPTION as VERSION
from jobs.enqueue import tracing
from jobs.errors import InvalidArguments, InvalidOption
from jobs.tasks.encryption import with_encrypted_signatures
from jobs.tasks.options import Options
from jobs.tasks.redaction import hidden_names

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask

#: Options of `apply_async` that travel in the message and are kept with the row for its re-sending.
_MESSAGE_OPTIONS = frozenset(
    {
        *("headers", "link", "link_error", "chain", "group_id", "group_index", "root_id", "shadow"),
        *("time_limit", "soft_time_limit", "replaced_task_nesting", "properties"),
    }
)

#: Those of them that hold signatures.
_FOLLOWERS = frozenset({"link", "link_error", "chain"})


def carried_by(task: "JobTask", options: Options) -> dict[str, Any] | None:
    """Return what a job's message says besides its arguments, ready for JSON; None where that is nothing.

    Raises:
        InvalidArguments: something of it is no JSON.
        InvalidOption: its headers are too large.
        EncryptionError: what follows it is of a task that encrypts, and no key is given.
    """
    carried = {name: value for name, value in options.message.items() if name in _MESSAGE_OPTIONS and value}
    if options.message.get("group_index") == 0:
        carried["group_index"] = 0
    ignores = options.message.get("ignore_result")
    if ignores is not None and ignores is not task.ignore_result:
        carried["ignore_result"] = ignores
    if traced := tracing.outgoing_headers():
        carried["headers"] = {**traced, **carried.get("headers", {})}
    if task.version > 1:
        carried[VERSION] = task.version
    if not carried:
        return None
    kept = json.loads(json_text(task, "options", carried))
    if "headers" in kept and (size := len(json.dumps(kept["headers"]))) > MOST_HEADERS:
        raise InvalidOption(
            f"{task.name}: the headers have {size:,} bytes: they must not have more than {MOST_HEADERS:,}, what every"
            " broker can carry. Store the data and pass its id."
        )
    followers = {name: with_encrypted_signatures(kept[name]) for name in _FOLLOWERS & kept.keys()}
    if isinstance(body := options.message.get("chord"), Mapping):
        # Its group has the whole of it. To write that out for each member would cost as much as the rest of the call.
        followers["chord"] = named_body(body)
    return without_bodies({**kept, **followers})


def json_text(task: "JobTask", name: str, value: object) -> str:
    """Return `value` as the JSON that the ledger can hold, the same on every database and after every reading.

    Raises:
        InvalidArguments: there is none.
    """
    try:
        text = encode(value)
    except (TypeError, ValueError, RecursionError) as exc:
        shown = "" if hidden_names(task.name) else f"={_shown(value)}"
        raise InvalidArguments(f"{task.name}: {name}{shown} cannot be written as JSON: {exc}.") from None
    if why := why_not_storable(text):
        raise InvalidArguments(f"{task.name}: {name} holds {why}.")
    if '"__type__"' in text:
        _check_readable(task, name, text)
    return text


def _shown(value: object) -> str:
    try:
        return f"{value!r:.200}"
    except Exception as exc:  # noqa: BLE001 (the value's own `__repr__` fails: the error must still name the argument)
        return f"a {type(value).__qualname__} that cannot be shown ({type(exc).__name__})"


def _check_readable(task: "JobTask", name: str, text: str) -> None:
    """Refuse what Kombu would take for one of its own types when it reads the arguments, and could not make."""
    try:
        loads(text)
    except Exception as exc:  # noqa: BLE001 (the constructors of those types raise what they like)
        reason = type(exc).__name__ if hidden_names(task.name) else exc
        raise InvalidArguments(
            f'{task.name}: {name} holds an object with the key "__type__", which marks a value of Kombu\'s own, and it'
            f" cannot be read: {reason}. Use another key."
        ) from None
