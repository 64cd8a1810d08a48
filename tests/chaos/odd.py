"""Messages that nobody can read, or that nobody should believe, and what became of each: a job or a dead letter."""

import base64
import json
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.asking import ask

#: A task that works, for messages in which something else is odd.
TASK = "tests.chaos.tasks.work"

#: Keys that the engine writes into its own requests; a stranger's are a stranger's.
KEYS_OF_THE_ENGINE = (
    *("claimed", "claim_in_doubt", "left", "offered", "lease_id", "parent_pid", "job_id", "job_attempt"),
    *("foreign_eta", "foreign_expires", "job_correlation_id"),
)

STRANGE_VALUES: tuple[Any, ...] = (True, None, 7, -1, 10**30, "²", "x", [], [[1]], {"a": 1}, ["a", "b"])

STRANGE_HEADERS: tuple[dict[str, Any], ...] = (
    {"retries": "²"},
    {"retries": 10**30},
    {"retries": -1},
    {"retries": [1]},
    {"timelimit": ["a", "b"]},
    {"timelimit": [-5, -1]},
    {"timelimit": 7},
    {"timelimit": {"soft": 1}},
    {"eta": "yesterday"},
    {"eta": 7},
    {"expires": ["soon"]},
    {"id": None},
    {"id": 7},
    {"id": ["x"]},
    {"id": "order-17"},
    {"task": None},
    {"task": 7},
    {"task": ["x"]},
    {"task": "no.such.task"},
    {"group": {"a": 1}},
    {"root_id": []},
    {"parent_id": 12},
    {"parent_id": "not an id"},
    {"origin": {}},
    {"stamps": 5},
    {"stamped_headers": "x"},
    {"lang": "c"},
    {"shadow": 7},
    {"compression": "zlib"},
    {"x-correlation-id": ["x"]},
    {"replaced_task_nesting": "deep"},
)

#: With LABEL where the message's label belongs.
STRANGE_BODIES: tuple[str, ...] = (
    "",
    "null",
    "{not json LABEL",
    '"LABEL"',
    '["LABEL"]',
    '{"label": "LABEL"}',
    '[["LABEL", 0], {}]',
    '[["LABEL", 0], {}, {}, {}]',
    '["LABEL", {}, {}]',
    '[["LABEL", 0], ["seconds", 0], {}]',
    '[["LABEL", 0], {}, ["x"]]',
    '[["LABEL", 0], {}, {"chain": "x", "callbacks": 7}]',
    '[["LABEL", 0], {}, {"callbacks": [{"task": "no.such.task"}], "errbacks": null, "chain": null, "chord": null}]',
    '[["LABEL", 0, 0, 0], {}, {}]',
    '[["LABEL\\u0000", 0], {}, {}]',
    '[["LABEL", NaN], {}, {}]',
    f'[["LABEL", {"[" * 5_000}{"]" * 5_000}], {{}}, {{}}]',
)

STRANGE_PROPERTIES: tuple[dict[str, Any], ...] = (
    {"delivery_info": {"exchange": "", "routing_key": 7}},
    {"delivery_info": {"exchange": ["x"], "routing_key": "elsewhere"}},
    {"delivery_info": ["chaos"]},
    {"delivery_tag": None},
    {"priority": "high"},
    {"body_encoding": "rot13"},
    {"correlation_id": 7},
    {"reply_to": {"a": 1}},
)

STRANGE_CONTENT: tuple[dict[str, Any], ...] = (
    {"content-type": "application/x-python-serialize"},
    {"content-type": 7},
    {"content-encoding": "utf-99"},
    {"headers": ["x"]},
    {"headers": None},
    {"properties": "x"},
)


@dataclass(frozen=True)
class OddMessage:
    """An item for a list of the broker. Its label stands in its headers, and in its body where it has arguments."""

    label: str
    kind: str
    item: bytes


@dataclass
class OddMessages:
    """Those that were sent. Settled is what is a job, whatever became of it, or a dead letter.

    Attributes:
        open: kinds by label, of those not settled yet.
        jobs, letters: how many are settled so.
        risked: what struck before they were settled, by label: a fault that takes along what only the broker or one
            worker has. The ledger sends again what it knows, and not what it never heard of.
    """

    open: dict[str, str] = field(default_factory=dict)
    jobs: int = 0
    letters: int = 0
    risked: dict[str, str] = field(default_factory=dict)

    def draw(self, rng: random.Random, count: int) -> list[OddMessage]:
        """Return new messages of any kinds."""
        return [_message(rng, f"odd-{uuid.UUID(int=rng.getrandbits(128))}") for _ in range(count)]

    def sent(self, message: OddMessage) -> None:
        """Note that the broker has it."""
        self.open[message.label] = message.kind

    def unsettled(self) -> list[str]:
        """Look what became of those that are open. Returns those of which nothing did, while the database answers."""
        if self.open:
            ask(self._settle)
        return list(self.open)

    def risk(self, fault: str) -> None:
        """Note that a fault strikes that may take along what is open now."""
        for label in self.unsettled():
            self.risked.setdefault(label, fault)

    def lost(self) -> list[str]:
        """Return those of which nothing became, and that nothing took along."""
        return [f"{label} ({kind})" for label, kind in self.open.items() if label not in self.risked]

    def taken_along(self) -> int:
        """Return how many were lost with the broker or the worker that alone had them."""
        return sum(label in self.risked for label in self.open)

    def _settle(self) -> None:
        from jobs.models import DeadLetter, Job  # noqa: PLC0415 (Django is set up by then)

        letters = [_text_of(letter) for letter in DeadLetter.objects.all()]
        jobs = [f"{job.args} {job.kwargs}" for job in Job.objects.filter(queue__startswith="chaos")]
        for label in list(self.open):
            if any(label in text for text in letters):
                self.letters += 1
            elif any(label in text for text in jobs):
                self.jobs += 1
            else:
                continue
            del self.open[label]


def _text_of(letter: Any) -> str:
    return f"{bytes(letter.body).decode(errors='replace')} {letter.headers} {letter.properties}"


def _message(rng: random.Random, label: str) -> OddMessage:
    kind = rng.choice(list(KINDS))
    said, item = KINDS[kind](rng, label)
    return OddMessage(label, f"{kind} {said}".strip()[:60], item)


def _envelope(label: str, **changed: Any) -> bytes:
    """Return a message that would run, but for what is changed of it."""
    body = changed.pop("body", json.dumps([[label, 0.0], {}, {}]))
    envelope = {
        "body": base64.b64encode(body.encode()).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": TASK, "id": str(uuid.uuid4()), "x-odd": label, **changed.pop("of_headers", {})},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
            "delivery_info": {"exchange": "", "routing_key": "chaos"},
            "x-odd": label,
            **changed.pop("of_properties", {}),
        },
    }
    return json.dumps({**envelope, **changed}).encode()


def _garbage(rng: random.Random, label: str) -> tuple[str, bytes]:
    return "", rng.choice((f"garbage {label}".encode(), b"\xff\x00" + label.encode(), json.dumps([label, 2]).encode()))


def _without(rng: random.Random, label: str) -> tuple[str, bytes]:
    envelope = json.loads(_envelope(label))
    part = rng.choice(sorted(envelope.keys() - {"headers"}))
    del envelope[part]
    return part, json.dumps(envelope).encode()


def _strange_body(rng: random.Random, label: str) -> tuple[str, bytes]:
    body = rng.choice(STRANGE_BODIES)
    return body, _envelope(label, body=body.replace("LABEL", label))


def _strange_header(rng: random.Random, label: str) -> tuple[str, bytes]:
    header = rng.choice(STRANGE_HEADERS)
    return json.dumps(header), _envelope(label, of_headers=header)


def _own_key(rng: random.Random, label: str) -> tuple[str, bytes]:
    header = {rng.choice(KEYS_OF_THE_ENGINE): rng.choice(STRANGE_VALUES)}
    return json.dumps(header), _envelope(label, of_headers=header)


def _strange_property(rng: random.Random, label: str) -> tuple[str, bytes]:
    changed = rng.choice(STRANGE_PROPERTIES)
    return json.dumps(changed), _envelope(label, of_properties=changed)


def _strange_content(rng: random.Random, label: str) -> tuple[str, bytes]:
    changed = rng.choice(STRANGE_CONTENT)
    return json.dumps(changed), _envelope(label, **changed)


KINDS: dict[str, Callable[[random.Random, str], tuple[str, bytes]]] = {
    "garbage": _garbage,
    "without": _without,
    "body": _strange_body,
    "header": _strange_header,
    "key of the engine": _own_key,
    "property": _strange_property,
    "content": _strange_content,
}
