"""What the schema says beyond the operations that Ninja knows: the problems of all, and live events."""

from typing import Any

from jobs.operations.problems import CONTENT_TYPE, ProblemOut

#: What any operation may answer.
_PROBLEMS = {
    "400": "The request is no JSON.",
    "401": "Nobody knows who asks.",
    "403": "Who asks may not do this.",
    "404": "It is not there.",
    "409": "It is in a state that does not allow this, or the key was used for something else.",
    "413": "The body is too large.",
    "422": "A value is not valid.",
    "429": "Too many requests in this minute.",
    "503": "Database or broker does not answer.",
}

EVENTS_PATH = "/api/events"


def describe_problems(schema: dict[str, Any]) -> None:
    """Add to a schema what every operation may answer besides what it is for."""
    definition = ProblemOut.model_json_schema(ref_template="#/components/schemas/{model}")
    parts = definition.pop("$defs", {})
    schema["components"].setdefault("schemas", {}).update({**parts, "ProblemOut": definition})
    content = {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemOut"}}}
    for path in schema["paths"].values():
        for operation in path.values():
            for status, description in _PROBLEMS.items():
                operation["responses"][status] = {"description": description, "content": content}


_EVENTS = """\
Server-Sent Events, for as long as the client stays: one for each change of a job's state, within a quarter of a second
of its commit.

- `event: listening`: from here on nothing is missed.
- `event: job`: a job came into a state. `data` is the job as `GET /api/jobs/{id}` shows it, without attempts, with
  `changed_at`, and with `passed`: true for a state that it has left again by now.
- `event: log` (with `logs=1`): a piece of what a job named by `job` logs, as `GET /api/jobs/{id}/logs` shows it, with
  `job_id` and an `id` that grows; first come those that are there. It has no `id` of the stream's.
- `event: tick` (with `ticks=1`): `{"changes": 12, "states": {"succeeded": 12}}`, once a second at most.
- `event: reset`: too much was missed to be told; look anew.

Each change has an `id`. Browsers send the last one back as `Last-Event-ID` when they reconnect, and get what they
missed. A comment comes every 15 seconds while nothing happens. Who does not take what is sent is dropped.
"""

_EXAMPLE = """\
retry: 2000

event: listening
data: {}

id: 1795312800123456-0199f0c2a1b27c3d8e4f5a6b7c8d9e0f
event: job
data: {"id": "0199f0c2-a1b2-7c3d-8e4f-5a6b7c8d9e0f", "task": "reports.build", "state": "running", …}
"""


def describe_events(schema: dict[str, Any]) -> None:
    """Add live events to a schema: they are no operation of Ninja's, which knows no streams."""
    text = {"type": "string", "maxLength": 200}
    parameters = [
        _parameter("state", "Only changes into these states.", {"$ref": "#/components/schemas/State"}, many=True),
        _parameter("queue", "Only jobs of these queues.", text, many=True),
        _parameter("task", "Only jobs of these tasks.", text, many=True),
        _parameter("job", "Only these jobs.", {"type": "string", "format": "uuid"}, many=True),
        _parameter("group", "Only jobs of these groups.", {"type": "string", "format": "uuid"}, many=True),
        _parameter("ticks", "1: instead of changes, how many there were.", {"type": "string", "enum": ["0", "1"]}),
        _parameter("logs", "1: also what the jobs named by `job` log.", {"type": "string", "enum": ["0", "1"]}),
        _parameter("last_event_id", "As the header, for who cannot send one.", text),
        {
            **_parameter("Last-Event-ID", "The last event the client has: first comes what it missed.", text),
            "in": "header",
        },
    ]
    stream = {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}}
    some_operation = schema["paths"]["/api/jobs"]["get"]
    schema["paths"][EVENTS_PATH] = {
        "get": {
            "operationId": "events",
            "summary": "Listen to changes",
            "description": _EVENTS,
            "tags": ["events"],
            "parameters": parameters,
            "responses": {"200": {"description": "The stream.", "content": stream}},
            "security": some_operation["security"],
        }
    }


def _parameter(name: str, description: str, schema: dict[str, Any], *, many: bool = False) -> dict[str, Any]:
    if many:
        schema = {"type": "array", "items": schema}
        description += " May be repeated."
    return {"in": "query", "name": name, "description": description, "required": False, "schema": schema}
