"""What a task takes: whether the arguments of a call fit, and what they are called."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, get_type_hints

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from jobs.errors import InvalidArguments
from jobs.tasks.redaction import is_hidden

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class TaskSignature:
    """The signature of a task.

    Attributes:
        parameters: what it takes, by name and in order.
    """

    def __init__(self, task_name: str, called: Callable[..., Any], models: Callable[..., Any] | None = None) -> None:
        """Read a signature.

        Args:
            task_name: the task's name, for errors.
            called: what takes the arguments: the task's function, or the type of a batch's items.
            models: the function whose parameters annotated with a model of Pydantic are validated, where there is one.
        """
        self._task_name = task_name
        self._models_of = models
        self._signature = _signature(called)
        self.parameters = self._signature.parameters
        kinds = {name: parameter.kind for name, parameter in self.parameters.items()}
        self._positional = [name for name, kind in kinds.items() if kind in _POSITIONAL]
        self._by_name = {name for name, kind in kinds.items() if kind in _BY_NAME}
        self._required = {name for name, one in self.parameters.items() if one.default is one.empty}

    def check(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Raise InvalidArguments where the task could not be called with these."""
        if self._models or not self._evidently_fit(args, kwargs):
            arguments = self._bound(args, kwargs).arguments
            for name, model in self._models.items():
                if arguments.get(name) is not None:
                    self._check_model(name, model, arguments[name])

    def named(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of a call by their names, defaults included. Raises InvalidArguments as the check."""
        self.check(args, kwargs)
        bound = self._bound(args, kwargs)
        bound.apply_defaults()
        return dict(bound.arguments)

    def _evidently_fit(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        """Return whether the names say that arguments fit, at a tenth of what it costs to bind them."""
        given = self._positional[: len(args)]
        return (
            len(args) <= len(self._positional)
            and kwargs.keys() <= self._by_name.difference(given)
            and self._required.difference(given) <= kwargs.keys()
        )

    def _bound(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
        try:
            return self._signature.bind(*args, **kwargs)
        except TypeError as exc:
            raise InvalidArguments(
                f"{self._task_name}: the arguments do not fit the task's signature {self._signature}: {exc}."
            ) from None

    @cached_property
    def _models(self) -> dict[str, type[BaseModel]]:
        if self._models_of is None:
            return {}
        hints = get_type_hints(inspect.unwrap(self._models_of))
        return {name: hint for name, hint in hints.items() if isinstance(hint, type) and issubclass(hint, BaseModel)}

    def _check_model(self, name: str, model: type[BaseModel], value: Any) -> None:
        try:
            model.model_validate(value)
        except ValidationError as exc:
            # Without the values: whoever enqueues has them, and the error of a job is seen by others.
            rules = "; ".join(self._misfit(name, error) for error in exc.errors(include_url=False, include_input=False))
            raise InvalidArguments(f"{self._task_name}: {name} is not valid: {rules}.") from None

    def _misfit(self, name: str, error: ErrorDetails) -> str:
        """Return where in an argument something is wrong, and what it must be; of a hidden one neither."""
        if is_hidden(self._task_name, name):
            return error["type"]
        place = ".".join(map(str, error["loc"]))
        return f"{place}: {error['msg']}" if place else error["msg"]


def _signature(called: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(called)
    except ValueError:
        # Classes of Python's own, such as `str`, do not say what they take: their constructor will.
        return inspect.signature(_anything)


def _anything(*args: Any, **kwargs: Any) -> None:
    """Have the signature of what takes any arguments."""
