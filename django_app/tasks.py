"""Tasks: functions that a worker runs later.

`enqueue()` is a row in the caller's own transaction:

    @task(max_attempts=3)
    def send_invoice(order_id: int) -> None: ...

    send_invoice.enqueue(42)                                    # rolled back with the caller, or run after commit
    send_invoice.using(key="customer-7", run_at=timedelta(hours=1)).enqueue(42)
    send_invoice.enqueue_many((pk,) for pk in order_ids)

`cancel(id)` asks for the end of one that was enqueued; timeouts of `@task` end one that runs for too long.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Generic, ParamSpec, TypeVar, overload

from . import jsonvalues
from .call_shape import CallShape
from .cancelling import cancel
from .enqueueing import copy_tasks, insert_task
from .faults import refuse
from .soft_timeout import SoftTimeoutError
from .task_limits import OnTimeout, TaskLimits
from .task_options import MAX_KEY, TaskOptions
from .task_registry import default_name, register
from .texts import check_text, shorten

__all__ = ["SoftTimeoutError", "TaskFunction", "cancel", "task"]

P = ParamSpec("P")
R = TypeVar("R")
Call = Sequence[Any] | Mapping[str, Any]


class TaskFunction(Generic[P, R]):
    """A function with its name among the tasks. Calling it runs the function here and now, without a queue."""

    def __init__(
        self,
        function: Callable[P, R],
        name: str,
        options: TaskOptions,
        limits: TaskLimits,
        shape: CallShape | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = name
        self.options = options
        self.limits = limits
        self.shape = shape or CallShape(function)

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<task {self.name}>"

    def using(
        self,
        *,
        key: str | None = None,
        priority: int | None = None,
        run_at: datetime | timedelta | None = None,
        max_attempts: int | None = None,
    ) -> "TaskFunction[P, R]":
        """Return a copy with these options; what is not given stays as it is.

        `key` (up to 320 characters) puts tasks with the same key before the same worker. `priority` -32768..32767,
        lower runs first. `run_at` is an aware datetime, or a timedelta added to the database's own clock at enqueue.
        `max_attempts` 1..32767. Raises TypeError or ValueError for other values.
        """
        given = {"key": key, "priority": priority, "run_at": run_at, "max_attempts": max_attempts}
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        options = replace(self.options, **changes).validated()
        return TaskFunction(self.function, self.name, options, self.limits, self.shape)

    def enqueue(self, /, *args: P.args, **kwargs: P.kwargs) -> int:
        """Write one task in the caller's transaction and return its id.

        Raises TypeError when the arguments do not fit the function or are not JSON, ValueError when they are more
        than 1,000,000 bytes of JSON together.
        """
        return insert_task(self.name, self.options, *self._encode(args, kwargs))

    def enqueue_many(self, calls: Iterable[Call], key: Callable[..., str] | None = None) -> int:
        """Write a task for each call and return how many: all or none, much faster than one by one.

        A call is a tuple or list of positional arguments, or a mapping of keyword arguments; `calls` may be a
        generator, also one that queries the database. `key` takes the same arguments and returns the task's key.
        Raises as `enqueue` does; a note on the error says which call it was.
        """
        encode = functools.partial(self._encode_call, self.options.key)
        return copy_tasks(self.name, self.options, self._keyed(calls, key), encode)

    def _keyed(self, calls: Iterable[Call], key: Callable[..., str] | None) -> Iterator[tuple[int, Call, str | None]]:
        for index, call in enumerate(calls):
            if key is None:
                yield index, call, None
            else:
                args, kwargs = _arguments(call, index)
                yield index, call, key(*args, **kwargs)

    def _encode_call(self, own_key: str, keyed: tuple[int, Call, str | None]) -> tuple[str, str, str]:
        index, call, key = keyed
        try:
            if key is None:
                key = own_key
            else:
                check_text(key, "key", MAX_KEY)
            return key, *self._encode(*_arguments(call, index))
        except (TypeError, ValueError) as error:
            error.add_note(f"in call {index} (counted from 0) of enqueue_many")
            raise

    def _encode(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[str, str]:
        try:
            self.shape.check(args, kwargs)
        except TypeError as error:
            raise TypeError(f"task {self.name!r}: {error}; it takes {self.shape.signature}") from None
        try:
            args_json = jsonvalues.dumps(args) if args else "[]"
            kwargs_json = jsonvalues.dumps(kwargs) if kwargs else "{}"
        except TypeError as error:
            found = jsonvalues.named_fault(self.shape.named(args, kwargs)) or error
            raise TypeError(f"task {self.name!r}: argument {found}") from None
        if len(args_json) + len(kwargs_json) > jsonvalues.SURELY_SHORT:
            size = jsonvalues.byte_length(args_json) + jsonvalues.byte_length(kwargs_json)
            if size > jsonvalues.MAX_BYTES:
                raise ValueError(f"task {self.name!r}: its arguments are {jsonvalues.oversize(size)}")
        return args_json, kwargs_json


@overload
def task(function: Callable[P, R], /) -> TaskFunction[P, R]: ...
@overload
def task(
    *,
    max_attempts: int = 5,
    priority: int = 0,
    name: str | None = None,
    soft_timeout: timedelta | None = None,
    hard_timeout: timedelta | None = None,
    on_timeout: OnTimeout | None = None,
) -> Callable[[Callable[P, R]], TaskFunction[P, R]]: ...
def task(
    function: Callable[..., Any] | None = None,
    /,
    *,
    max_attempts: int = 5,
    priority: int = 0,
    name: str | None = None,
    soft_timeout: timedelta | None = None,
    hard_timeout: timedelta | None = None,
    on_timeout: OnTimeout | None = None,
) -> Any:
    """Declare a function as a task, bare or with options; its name is `module.qualname` unless given.

    Workers find the function by that name, so a lambda, a nested function or one of a script (`__main__`) needs a
    `name` and must be declared whenever a worker imports the project.

    `soft_timeout` and `hard_timeout` (up to 30 days, None is no limit) bound each run of the task. At the soft one
    SoftTimeoutError is raised in it, which it may catch; an async task meets it at its next `await`. At the hard one,
    the longer one, its process is killed, which is a failed attempt: by `on_timeout` the task is tried again as long
    as it has attempts left ("retry", the default) or is DEAD at once ("dead").

    Raises TypeError or ValueError for options that cannot be, naming all of them, and ValueError when two functions
    have one name or no worker could find the function.
    """
    options = TaskOptions(max_attempts=max_attempts, priority=priority)
    limits = TaskLimits(soft_timeout=soft_timeout, hard_timeout=hard_timeout, on_timeout=on_timeout)

    def declare(declared: Callable[..., Any]) -> TaskFunction[..., Any]:
        known_as = name or default_name(declared)
        refuse([*options.faults(), *limits.faults()], f"task {shorten(known_as)}")
        return register(TaskFunction(declared, known_as, options, limits))

    return declare if function is None else declare(function)


def _arguments(call: Call, index: int) -> tuple[Sequence[Any], Mapping[str, Any]]:
    match call:
        case tuple() | list():
            return call, {}
        case dict():
            return (), call
        case Mapping():
            return (), dict(call)
    raise TypeError(
        f"call {index} (counted from 0) of enqueue_many is {shorten(call)} ({type(call).__name__}): it must be a tuple "
        "or list of positional arguments, or a mapping of keyword arguments"
    )
