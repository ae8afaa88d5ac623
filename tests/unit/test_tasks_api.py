"""What `@task` accepts and refuses before a database is asked."""

import inspect
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from pgsupervise.django_app.task_registry import registry
from pgsupervise.django_app.tasks import task
from tests.registries import own_registries


@pytest.fixture(autouse=True)
def registries() -> Iterator[None]:
    with own_registries():
        yield


def double(number: int, *, times: int = 2) -> int:
    """Multiply."""
    return number * times


def other(number: int) -> int:
    return number


def test_a_bare_task_is_named_by_module_and_qualname() -> None:
    declared = task(double)
    assert declared.name == f"{__name__}.double"
    assert registry[declared.name] is declared
    assert (declared.options.max_attempts, declared.options.priority) == (5, 0)


def test_options_are_given_in_parentheses() -> None:
    declared = task(max_attempts=2, priority=-7, name="app.double")(double)
    assert (declared.name, declared.options.max_attempts, declared.options.priority) == ("app.double", 2, -7)


def test_calling_a_task_calls_its_function() -> None:
    declared = task(double)
    assert declared(4, times=3) == 12
    assert declared.__doc__ == "Multiply."
    assert inspect.signature(declared) == inspect.signature(double)


def test_using_returns_a_copy() -> None:
    declared = task(double)
    later = datetime(2030, 1, 1, tzinfo=UTC)
    copy = declared.using(key="k", priority=3, run_at=later, max_attempts=9)
    assert (copy.options.key, copy.options.priority, copy.options.run_at, copy.options.max_attempts) == (
        "k",
        3,
        later,
        9,
    )
    assert declared.options.key == ""
    assert copy.using(priority=4).options.key == "k"
    assert copy.using(key="").options.key == ""
    assert registry[declared.name] is declared


def test_two_functions_of_one_name_are_refused_with_both_places() -> None:
    task(name="app.same")(double)
    with pytest.raises(ValueError, match=r"two tasks are named 'app\.same'") as refused:
        task(name="app.same")(other)
    for function in (double, other):
        assert f"{__file__}:{function.__code__.co_firstlineno}" in str(refused.value)


def test_a_module_that_is_imported_again_declares_its_tasks_anew() -> None:
    task(double)
    again = task(double)
    assert registry[again.name] is again


def test_functions_that_no_worker_could_find_need_a_name() -> None:
    def nested() -> None: ...

    for function in (nested, lambda: None):
        with pytest.raises(ValueError, match=r"@task\(name="):
            task(function)
    assert task(name="app.nested")(nested).name == "app.nested"


def test_a_task_of_a_script_needs_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(double, "__module__", "__main__")
    with pytest.raises(ValueError, match="__main__"):
        task(double)


@pytest.mark.parametrize("name", ["n" * 201, "a\nb"])
def test_names_that_the_table_cannot_hold_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="a task's name"):
        task(name=name)(double)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"key": "k" * 321}, ValueError, "321 characters"),
        ({"key": "a\x07b"}, ValueError, r"key is 'a\\x07b'"),
        ({"key": "a\ud800"}, ValueError, "key is"),
        ({"key": 7}, TypeError, r"key is 7 \(int\)"),
        ({"priority": 32768}, ValueError, "between -32768 and 32767"),
        ({"priority": 1.5}, TypeError, "priority is 1.5"),
        ({"max_attempts": 0}, ValueError, "between 1 and 32767"),
        ({"max_attempts": True}, TypeError, "bool"),
        ({"run_at": datetime(2030, 1, 1)}, ValueError, "without a time zone"),  # noqa: DTZ001 - that is the point
        ({"run_at": "tomorrow"}, TypeError, "aware datetime"),
    ],
)
def test_options_are_checked_with_value_and_cure(
    options: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        task(double).using(**options)  # type: ignore[arg-type]  # wrong on purpose


def test_all_faults_of_the_options_are_told_at_once() -> None:
    with pytest.raises(ValueError, match=r"^key is 'a\\nb': .*; priority is 40000: .*; max_attempts is 0: ") as refused:
        task(double).using(key="a\nb", priority=40000, max_attempts=0)
    assert "\n" not in str(refused.value)


def test_the_widest_options_are_accepted() -> None:
    declared = task(double)
    for priority in (-32768, 32767):
        assert declared.using(priority=priority).options.priority == priority
    assert declared.using(max_attempts=32767, key="ü" * 320, run_at=timedelta(days=-1)).options.max_attempts == 32767


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((), {}, "missing a required argument: 'number'"),
        ((1, 2), {}, "too many positional arguments"),
        ((1,), {"much": 2}, "unexpected keyword argument 'much'"),
        ((1,), {"number": 2}, "multiple values for argument 'number'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_at_enqueue(
    args: tuple[object, ...], kwargs: dict[str, object], words: str
) -> None:
    declared = task(name="app.double")(double)
    with pytest.raises(TypeError, match=words) as refused:
        declared.enqueue(*args, **kwargs)  # type: ignore[arg-type]  # wrong on purpose
    assert "task 'app.double'" in str(refused.value)
    assert "(number: int, *, times: int = 2)" in str(refused.value)
