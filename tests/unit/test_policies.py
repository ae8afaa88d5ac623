"""Policies: all faults at once, and windows as the workers understand them."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from pgsupervise.django_app.policies import Fixed, Policy, PolicyError, Sliding, register, registered
from pgsupervise.partitions.windows import WindowRule
from tests.registries import own_registries

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def registries() -> Iterator[None]:
    with own_registries():
        yield


def test_windows_become_rules() -> None:
    assert Policy(name="p", window=MINUTE).rule() == WindowRule(window=MINUTE)
    assert Policy(name="p", window=Fixed(MINUTE), flush_at=3).rule() == WindowRule(window=MINUTE, flush_at=3)
    assert Policy(name="p", window=Sliding(MINUTE, max=5 * MINUTE)).rule() == WindowRule(
        window=MINUTE, sliding_max=5 * MINUTE
    )


def test_a_registered_policy_is_found_by_name_and_by_itself() -> None:
    policy = register(Policy(name="comments", window=MINUTE))
    assert registered("comments") is policy
    assert registered(policy) is policy
    register(Policy(name="comments", window=MINUTE))  # the same module imported twice


def test_all_faults_are_told_at_once() -> None:
    faulty: dict[str, Any] = {
        "window": Sliding(MINUTE, max=timedelta(seconds=1)),
        "flush_at": 0,
        "key": "actor",
        "channel": "",
        "template": "",
        "address": "mail",
        "on_unknown": "ignore",
    }
    with pytest.raises(PolicyError) as refused:
        register(Policy(name="faulty", **faulty))
    message = str(refused.value)
    assert message.startswith("policy 'faulty': ")
    for words in (
        "sliding_max 0:00:01 is shorter",
        "flush_at is 0",
        "key is 'actor': it must be one of recipient, object",
        "channel is empty",
        "template is empty",
        "address is 'mail'",
        "on_unknown is 'ignore': it must be one of resend, hold",
    ):
        assert words in message


@pytest.mark.parametrize("window", [5, None, "1h", timedelta(0)])
def test_a_window_must_be_a_time(window: Any) -> None:
    with pytest.raises(PolicyError, match="window is"):
        register(Policy(name="p", window=window))


@pytest.mark.parametrize("name", ["", "n" * 101, "a\nb", 5])
def test_a_name_must_fit_the_table(name: Any) -> None:
    with pytest.raises(PolicyError, match="name is"):
        register(Policy(name=name, window=MINUTE))


def test_another_policy_of_the_same_name_is_refused() -> None:
    register(Policy(name="comments", window=MINUTE))
    with pytest.raises(PolicyError, match="another policy has that name"):
        register(Policy(name="comments", window=2 * MINUTE))


def test_an_unknown_name_lists_the_known() -> None:
    register(Policy(name="comments", window=MINUTE))
    register(Policy(name="billing", window=MINUTE))
    with pytest.raises(PolicyError, match=r"no policy is registered as 'coments'.*billing, comments"):
        registered("coments")
