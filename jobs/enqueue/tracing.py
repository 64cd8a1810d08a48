"""OpenTelemetry: a trace begun by a request, or by whoever called it, goes on in its jobs.

The W3C context travels in the headers of a job's message, and so in the ledger: it survives retries, restarts and
brokers. Spans are recorded where OTEL_EXPORTER_OTLP_ENDPOINT says where to send them; without it a context from
outside is only passed on, and where there is none nothing is done at all.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from opentelemetry import context, propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode, TracerProvider

from jobs.core.outcome import Dead, Outcome

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask

#: The headers of the W3C's trace context.
HEADERS = ("traceparent", "tracestate")

_tracer = trace.get_tracer("jobs")
_records = False


def configure(service: str) -> None:
    """Record spans where the environment says where to send them; OpenTelemetry's own variables say how."""
    if not any(os.environ.get(name) for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")):
        return
    # They take a while to import, and most processes need none of them.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider as Recorder  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    recorder = Recorder(resource=Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", service)}))
    recorder.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    record_with(recorder)


def record_with(provider: TracerProvider) -> None:
    """Record spans with this provider, for the rest of the process."""
    global _records  # noqa: PLW0603 (OpenTelemetry has one provider a process)
    trace.set_tracer_provider(provider)
    _records = True


def outgoing_headers() -> dict[str, str]:
    """Return the headers that let a job go on with the trace at hand; none where there is no trace."""
    if not trace.get_current_span().get_span_context().is_valid:
        return {}
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return {name: value for name, value in headers.items() if name in HEADERS}


@contextmanager
def request_span(method: str, route: str, headers: Mapping[str, str]) -> Iterator[trace.Span]:
    """Record the answer to a request, as part of its caller's trace if it has one."""
    carried = {name: headers[name] for name in HEADERS if name in headers}
    with _attached(carried), _tracer.start_as_current_span(f"{method} {route}", kind=SpanKind.SERVER) as span:
        yield span


def attempt(task: "JobTask") -> AbstractContextManager[None]:
    """Record one attempt of a job, as part of the trace in which it was enqueued; nothing where nobody traces."""
    return _attempt_span(task) if _records or task.request.get(HEADERS[0]) else nullcontext()


@contextmanager
def _attempt_span(task: "JobTask") -> Iterator[None]:
    request = task.request
    carried = {name: str(request.get(name)) for name in HEADERS if request.get(name)}
    attributes = {
        "messaging.system": "celery",
        "messaging.operation.name": "process",
        "messaging.message.id": str(request.id),
        "celery.task_name": task.name,
        "job.retries": int(request.retries or 0),
    }
    with (
        _attached(carried),
        _tracer.start_as_current_span(
            task.name,
            kind=SpanKind.CONSUMER,
            attributes=attributes,
            # Another attempt follows, or there was nothing to run: no error of the trace.
            record_exception=False,
            set_status_on_exception=False,
        ),
    ):
        yield


def attempt_ended(outcome: Outcome, error: Exception | None) -> None:
    """Let the attempt at hand say what became of it. Only one that gives up is an error of the trace."""
    span = trace.get_current_span()
    if not span.is_recording():
        return
    dead = isinstance(outcome, Dead)
    span.set_attribute("job.outcome", "dead" if dead else type(outcome).__name__.lower())
    if dead:
        span.set_status(Status(StatusCode.ERROR, type(error).__name__))


@contextmanager
def _attached(carried: dict[str, str]) -> Iterator[None]:
    joined: Context = propagate.extract(carried)
    token = context.attach(joined)
    try:
        yield
    finally:
        context.detach(token)
