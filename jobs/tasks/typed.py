"""What type checkers and editors know of a task's calls: its function's parameters.

What Python's types cannot say is left to the check at the call: the keys of `apply_async(kwargs=…)` and of the calls of
`delay_many`, and the constructor of a batch's items.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Concatenate, Generic, TypedDict, overload

from celery.canvas import Signature
from typing_extensions import ParamSpec, TypeVar

if TYPE_CHECKING:
    from jobs.tasks.calls import JobResult

#: The parameters of a task's function, without the task itself where it is bound; and what it returns.
P = ParamSpec("P", default=...)
R_co = TypeVar("R_co", covariant=True, default=Any)

#: The parameters but the first, which in a chain is what the step before returned.
Rest = ParamSpec("Rest")


class CallOptions(TypedDict, total=False):
    """The options of a call, under Celery's names; durations in seconds. `apply_async` says what they mean."""

    queue: str | None
    priority: int | None
    countdown: float | timedelta | None
    eta: datetime | None
    expires: float | timedelta | datetime | None
    deadline: float | timedelta | datetime | None
    unique: str | bool | tuple[str, ...] | None
    until: str | None
    within: float | timedelta | None
    replace: tuple[str, ...] | None
    max_delay: float | timedelta | None
    max_retries: int | None
    time_limit: float | None
    soft_time_limit: float | None
    headers: Mapping[str, Any] | None
    correlation_id: str | None
    app_id: str | None
    content_encoding: str | None
    reply_to: str | None
    type: str | None
    user_id: str | None
    # What canvas and Beat pass on.
    chain: Any
    chord: Any
    group_id: str | None
    group_index: int | None
    root_id: str | None
    parent_id: str | None
    replaced_task_nesting: int | None
    stamped_headers: Sequence[str] | None
    add_to_parent: bool
    ignore_result: bool | None
    periodic_task_name: str | None
    # Of sending, which change nothing.
    publisher: Any
    connection: Any
    retry: bool | None
    throw: bool | None
    retry_policy: Mapping[str, Any] | None
    argsrepr: str | None
    kwargsrepr: str | None
    serializer: str | None


class ManyOptions(CallOptions, total=False):
    """The options of many calls, the same for all."""

    link: Any
    link_error: Any
    shadow: str | None


class TypedCalls(Generic[P, R_co]):
    """The calls of a task that Celery has, with the parameters of the task's function."""

    if TYPE_CHECKING:

        def delay(self, *args: P.args, **kwargs: P.kwargs) -> JobResult: ...

        def si(self, *args: P.args, **kwargs: P.kwargs) -> Signature: ...

        @overload
        def s(self, *args: P.args, **kwargs: P.kwargs) -> Signature: ...
        @overload
        def s(
            self: "TypedCalls[Concatenate[Any, Rest], Any]", *args: Rest.args, **kwargs: Rest.kwargs
        ) -> Signature: ...
        def s(self, *args: Any, **kwargs: Any) -> Signature: ...
