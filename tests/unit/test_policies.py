"""Policies: all faults at once, and windows as the workers understand them."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from pgsupervise.django_app.notifications import Notification
from pgsupervise.django_app.policies import (
    Calendar,
    Fixed,
    FromProperty,
    Policy,
    PolicyError,
    Sliding,
    register,
    registered,
    registry,
)
from pgsupervise.django_app.policy_problems import host_problems
from pgsupervise.django_app.policy_specs import spec_of
from pgsupervise.django_app.windows import Window
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
        "key": "actr",
        "channel": "",
        "template": "",
        "address": "mail",
        "on_unknown": "ignore",
        "minimum": 0,
        "quiet": timedelta(0),
        "leading": True,
        "personal_window": None,
        "leaves_out_own": 1,
        "category": "c" * 101,
    }
    with pytest.raises(PolicyError) as refused:
        register(Policy(name="faulty", **faulty))
    message = str(refused.value)
    assert message.startswith("policy 'faulty': ")
    for words in (
        "Sliding's max 0:00:01 is shorter than its length 0:01:00: raise max",
        "flush_at is 0",
        "key is 'actr': no event can have that; give one of recipient, object, actor, tenant, data.<name>",
        "channel is empty",
        "template is empty",
        "address is 'mail'",
        "on_unknown is 'ignore': it must be one of resend, hold, reconcile",
        "minimum is 0: it must be at least 1",
        "quiet is 0:00:00: it must be longer than zero",
        "leading and quiet are two answers",
        "personal_window is None: it must be True or False",
        "leaves_out_own is 1: it must be True or False",
        "category is 'cccc",
    ):
        assert words in message


@pytest.mark.parametrize(
    "window",
    [5, None, "1h", timedelta(0), Fixed, Fixed(5), Sliding(MINUTE, max=5), Calendar("0 9 * *")],  # type: ignore[arg-type]
)
def test_a_window_must_be_one(window: Any) -> None:
    with pytest.raises(PolicyError, match=r"window|Sliding's max"):
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


def test_what_a_policy_says_beside_its_window_is_in_its_rule() -> None:
    policy = Policy(name="p", window=Sliding(MINUTE, max=5 * MINUTE), flush_at=3, leading=True)
    assert policy.rule() == WindowRule(window=MINUTE, sliding_max=5 * MINUTE, flush_at=3, leading=True)
    assert Policy(name="p", window=MINUTE, quiet=MINUTE).rule().quiet == MINUTE


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"minimum": 5, "flush_at": 3}, "minimum is 5 and flush_at 3"),
        ({"minimum": 2, "leading": True}, "the event that leading or quiet sends by itself"),
        ({"minimum": 2, "quiet": MINUTE}, "the event that leading or quiet sends by itself"),
    ],
)
def test_a_policy_that_would_send_nothing_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(PolicyError, match=words):
        register(Policy(name="p", window=MINUTE, **given))


def test_a_guest_leaves_window_channel_and_template_to_its_host() -> None:
    register(Policy(name="daily", window=Calendar("0 9 * * *"), channel="null", key="tenant", minimum=2))
    guest = register(Policy(name="likes", digest="daily", leaves_out_own=True))
    spec = spec_of(guest)
    assert (spec.host, spec.leaves_out_own, spec.minimum, spec.is_bare) == ("daily", True, 2, False)
    assert spec_of(guest.host).host == ""
    assert spec_of(register(Policy(name="alone", channel="null", window=MINUTE))).is_bare, "it has no guests"
    assert host_problems(registry) == []
    with pytest.raises(PolicyError) as refused:
        register(Policy(name="other", digest="daily", window=MINUTE, channel="null", flush_at=5))
    with pytest.raises(PolicyError, match="required is True"):
        register(Policy(name="other", digest="daily", required=True))
    assert "window is datetime.timedelta(seconds=60), flush_at is 5, channel is 'null': digest 'daily'" in str(
        refused.value
    )
    with pytest.raises(PolicyError, match="the policy itself"):
        register(Policy(name="other", digest="other"))


def test_a_guests_events_have_their_own_key_or_their_hosts() -> None:
    event = Notification("ada", {"repo": 5, "project": 7}, object="doc")
    silent, own = Policy(name="likes", digest="daily"), Policy(name="stars", digest="daily", key="data.repo")
    assert silent.key_of(event) == "", "nobody may fail for a host that the workers will miss at their start"
    register(Policy(name="daily", window=MINUTE, key="data.project"))
    assert (silent.key_of(event), own.key_of(event)) == ("7", "5")


def test_a_host_that_is_missing_or_a_guest_itself_is_told_at_start() -> None:
    register(Policy(name="daily", window=MINUTE))
    register(Policy(name="likes", digest="dialy"))
    register(Policy(name="stars", digest="daily"))
    register(Policy(name="forks", digest="stars"))
    missing, chained = host_problems(registry)
    assert missing.startswith("policy 'likes': its digest is 'dialy', and no policy is registered by that name")
    assert missing.endswith("use one of these: daily, hourly, sliding")
    assert "'forks': its digest 'stars' goes into 'daily' itself" in chained
    assert spec_of(registered("likes")).host == ""


def test_the_workers_know_what_a_window_reads() -> None:
    windows: list[tuple[timedelta | Window, bool]] = [
        (MINUTE, True),
        (MINUTE, False),
        (Calendar("0 9 * * *"), False),
        (FromProperty("data.every", MINUTE), False),
        (FromProperty("recipient.every", MINUTE), False),
    ]
    specs = [spec_of(Policy(name="p", window=window, personal_window=personal)) for window, personal in windows]
    assert [spec.reads_data for spec in specs] == [False, False, False, True, False]
    assert [spec.personal_rule is not None for spec in specs] == [True, False, True, True, True]
