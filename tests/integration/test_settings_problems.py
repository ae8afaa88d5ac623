"""Every fault of the configuration is told at once, with its cure and without a secret."""

import sqlite3
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, connections
from django.test import override_settings

from pgsupervise.django_app import channels, composition, readiness, settings
from pgsupervise.django_app.channels.null import NullChannel
from pgsupervise.django_app.policies import Policy, register
from pgsupervise.django_app.unknown_problems import unknown_problems
from pgsupervise.supervisor.config import Config
from pgsupervise.supervisor.limits import Limit
from pgsupervise.supervisor.project import ChannelSpec, OnUnknown, PolicySpec, Project
from pgsupervise.supervisor.start import examine
from tests.registries import own_registries
from tests.sendgrid_webhook import Signer

SECRET = "SG.secret.secret"
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("SENDGRID_API_KEY", raising=False)
    with own_registries():
        yield


def test_defaults() -> None:
    with override_settings(DEFAULT_FROM_EMAIL="site@example.com"):
        assert settings.read() == settings.Settings(from_email="site@example.com")
    assert settings.problems() == []


def test_values_of_the_project_count() -> None:
    given = {"SENDGRID_API_KEY": SECRET, "SENDGRID_HOST": "http://localhost:1", "SENDGRID_TIMEOUT": 3}
    with override_settings(PGSUPERVISE={**given, "FROM_EMAIL": "Us <us@example.com>"}):
        assert settings.problems() == []
        assert settings.read() == settings.Settings(
            sendgrid_api_key=SECRET,
            sendgrid_host="http://localhost:1",
            sendgrid_timeout=3,
            from_email="Us <us@example.com>",
        )


@pytest.mark.parametrize("given", [{}, {"SENDGRID_API_KEY": None}, {"SENDGRID_API_KEY": ""}])
def test_the_key_may_come_from_the_environment(given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENDGRID_API_KEY", f"{SECRET}\n")
    with override_settings(PGSUPERVISE=given):
        assert settings.problems() == []
        assert settings.read().sendgrid_api_key == SECRET


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CHANNEL_LIMITS", ["sendgrid"], "is ['sendgrid']: it must be a dict such as"),
        ("CHANNEL_LIMITS", {"sendgrid": 5}, "has 5 for 'sendgrid': it must be a dict such as"),
        (
            "CHANNEL_LIMITS",
            {"sendgrid": {"per_minute": 5}},
            "has the unknown key 'per_minute' for ",
        ),
        ("CHANNEL_LIMITS", {"sendgrid": {"per_second": -1}}, "for 'sendgrid': per_second is -1: it must be a number"),
        ("CHANNEL_LIMITS", {"sendgrid": {"in_flight": 2.5}}, "for 'sendgrid': in_flight is 2.5: it must be an int"),
        ("MOST_COPIES", 0, "is 0: it must be an int from 1"),
        ("MOST_COPIES", True, "is True: it must be an int from 1"),
        ("MOST_PER_HOUR", -1, "is -1: it must be an int from 1 to 10000, or 0 for no limit"),
    ],
)
def test_limits_are_checked(name: str, value: Any, words: str) -> None:
    with override_settings(PGSUPERVISE={name: value}):
        (problem,) = settings.problems()
    assert problem.startswith(f"PGSUPERVISE[{name!r}] {words}")


def test_limits_are_put_on_their_channels_and_what_nobody_could_keep_is_told(db: str) -> None:
    limits = {"sendgrid": {"per_second": 50, "in_flight": 3}}
    with override_settings(PGSUPERVISE={"CHANNEL_LIMITS": limits, "MOST_COPIES": 2, "MOST_PER_HOUR": 9}):
        project = composition.assemble()
        assert composition.problems() == []
    assert project.channels["sendgrid"].limit == Limit(per_second=50, in_flight=3)
    assert project.channels["inbox"].limit == Limit()
    assert (project.most_copies, project.most_per_hour) == (2, 9)
    examined = examine(Config(partitions=8, metrics_port=0), _Root(project))
    examined.close()
    (fault,) = examined.faults
    assert fault.startswith("channel 'sendgrid' may have 3 calls in flight, fewer than the 8 workers")
    with override_settings(PGSUPERVISE={"CHANNEL_LIMITS": {"sendgrip": {}, "null": {"per_second": 1}}}):
        first, second = composition.problems()
    assert "'sendgrip', and there is no such channel: did you mean 'sendgrid'?" in first
    assert "'null', which makes no call that could be limited" in second


class _Root:
    ProjectError: type[Exception] = composition.ProjectError

    def __init__(self, project: Project) -> None:
        self._project = project

    def load(self, settings_module: str | None) -> Project:
        return self._project

    def problems(self) -> list[str]:
        return []


def test_all_faults_are_told_at_once() -> None:
    faulty = {
        "SENDGRID_API_KEI": SECRET,
        "COLOUR": "red",
        "SENDGRID_API_KEY": f"{SECRET} twice",
        "SENDGRID_HOST": "api.sendgrid.com",
        "SENDGRID_TIMEOUT": "soon",
        "FROM_EMAIL": "us\r\nBcc: eve@example.com",
    }
    with override_settings(PGSUPERVISE=faulty):
        found = settings.problems()
    assert len(found) == 6
    for words in (
        "unknown key 'SENDGRID_API_KEI': did you mean 'SENDGRID_API_KEY'?",
        "unknown key 'COLOUR': known are SENDGRID_API_KEY, ",
        "PGSUPERVISE['SENDGRID_API_KEY'] has characters that no key has",
        "PGSUPERVISE['SENDGRID_HOST'] is 'api.sendgrid.com': it must be a URL",
        "PGSUPERVISE['SENDGRID_TIMEOUT'] is 'soon': it must be a number of seconds",
        "PGSUPERVISE['FROM_EMAIL'] is no address",
    ):
        assert any(words in problem for problem in found), words
    assert SECRET not in "".join(found)


@pytest.mark.parametrize("value", [0, -1, True, 601, float("nan")])
def test_a_timeout_is_a_positive_number_of_seconds(value: Any) -> None:
    with override_settings(PGSUPERVISE={"SENDGRID_TIMEOUT": value}):
        assert len(settings.problems()) == 1


def test_the_setting_must_be_a_dict() -> None:
    with override_settings(PGSUPERVISE=["x"]):
        assert settings.problems() == ["PGSUPERVISE is ['x']: it must be a dict"]


def test_the_key_is_in_no_repr(db: str) -> None:
    register(Policy(name="mail", window=HOUR, channel="sendgrid"))
    with override_settings(PGSUPERVISE={"SENDGRID_API_KEY": SECRET}):
        assert SECRET not in repr(settings.read())
        assert SECRET not in repr(composition.load(None).channels)


def test_a_sound_project_has_no_problems(db: str) -> None:
    register(Policy(name="plain", window=HOUR, personal_window=False))
    project = composition.load("tests.settings")
    assert composition.problems() == []
    assert project.policies["plain"] == PolicySpec(rule=Policy(name="p", window=HOUR).rule())
    assert set(project.channels) >= {"inbox", "null", "sendgrid"}
    with psycopg.connect(**project.conninfo) as direct:
        assert direct.execute("SELECT count(*) FROM pgsupervise_lease").fetchone() == (257,)


def test_nothing_that_a_fork_must_not_inherit_stays_open(db: str) -> None:
    connection.ensure_connection()
    threads = threading.active_count()
    composition.load(None)
    composition.problems()
    assert [open_.connection for open_ in connections.all(initialized_only=True)] == [None]
    assert threading.active_count() == threads


def test_a_held_message_is_the_policys_choice(db: str) -> None:
    register(Policy(name="held", window=HOUR, on_unknown="hold"))
    assert composition.load(None).policies["held"].on_unknown is OnUnknown.HOLD


def test_faults_of_policies_and_settings_are_told_together(db: str) -> None:
    register(Policy(name="pigeon", window=HOUR, channel="pigeon"))
    register(Policy(name="mail", window=HOUR, channel="sendgrid", template="nowhere"))
    with override_settings(PGSUPERVISE={"COLOUR": 1}):
        composition.load(None)
        found = composition.problems()
    for words in (
        "policy 'pigeon': there is no channel 'pigeon': use one of inbox, null, sendgrid",
        "policy 'mail': there is no template nowhere/subject.txt",
        "policy 'mail': there is no template nowhere/body.txt",
        "PGSUPERVISE has the unknown key 'COLOUR'",
    ):
        assert any(words in problem for problem in found), words
    assert all("\n" not in problem for problem in found)


def test_sendgrid_needs_a_key_and_a_sender(db: str) -> None:
    register(Policy(name="mail", window=HOUR, channel="sendgrid"))
    register(Policy(name="news", window=HOUR, channel="sendgrid"))
    composition.load(None)
    no_key, no_sender = composition.problems()
    assert "no SendGrid API key, but these policies send by it: mail, news; set PGSUPERVISE" in no_key
    assert "webmaster@localhost, which is Django's placeholder" in no_sender
    with override_settings(PGSUPERVISE={"SENDGRID_API_KEY": SECRET, "FROM_EMAIL": "us@example.com"}):
        assert composition.problems() == []


def test_a_faulty_setting_hides_none_that_is_missing_and_is_told_once(db: str) -> None:
    register(Policy(name="mail", window=HOUR, channel="sendgrid", on_unknown="reconcile"))
    with override_settings(PGSUPERVISE={"COLOUR": 1, "FROM_EMAIL": 5}):
        unknown, sender, key, webhook = composition.problems()
    assert "unknown key 'COLOUR'" in unknown
    assert sender.startswith("PGSUPERVISE['FROM_EMAIL'] is no address")
    assert key.startswith("no SendGrid API key")
    assert "no key for SendGrid's Event Webhook" in webhook
    with override_settings(PGSUPERVISE={"SENDGRID_API_KEY": 5, "FROM_EMAIL": "us@example.com", "SENDGRID_TIMEOUT": 30}):
        assert composition.longest_send() == timedelta(seconds=30)
        assert [problem for problem in composition.problems() if "API" in problem] == [
            "PGSUPERVISE['SENDGRID_API_KEY'] is of type int: it must be a str"
        ]


def test_a_key_that_nothing_uses_may_be_missing(db: str) -> None:
    register(Policy(name="plain", window=HOUR, channel="inbox"))
    assert composition.problems() == []


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    nowhere = {"host": "127.0.0.1", "port": 1, "dbname": "shop", "user": "me", "password": "hunter2"}
    (problem,) = readiness.database_problems(nowhere)
    assert problem.startswith("cannot connect to PostgreSQL at 127.0.0.1, port 1, database 'shop': ")
    assert "correct DATABASES" in problem
    assert "hunter2" not in problem


def test_a_database_that_was_not_migrated_is_told(db: str) -> None:
    call_command("migrate", "pgsupervise", "0002", verbosity=0)
    try:
        (problem,) = composition.problems()
        missing = (
            "0003_inbox, 0004_batches_in_order, 0005_finished_by_time, 0006_notifications_complete, "
            "0007_read_before_sending, 0008_left_out_at, 0009_fan_out, 0010_waiting_deliveries, "
            "0011_turns_of_tenants, 0012_provider_events, 0013_suppressions, 0014_channel_limits, "
            "0015_fallback_and_inbox"
        )
        assert problem == f"the database has not been migrated ({missing} missing): run manage.py migrate"
    finally:
        call_command("migrate", verbosity=0)


def test_a_table_that_is_gone_is_told(db: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE pgsupervise_batch RENAME TO elsewhere")
    try:
        (problem,) = composition.problems()
        assert "the tables pgsupervise_batch are missing although" in problem
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO pgsupervise_batch")


def test_conninfo_holds_what_libpq_knows_and_nothing_of_djangos(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"sslmode": "prefer", "prepare_threshold": 5, "server_side_binding": True, "application_name": "shop"}
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)
    found = composition.conninfo()
    assert (found["sslmode"], found["application_name"]) == ("prefer", "shop")
    assert not {"cursor_factory", "context", "prepare_threshold", "server_side_binding"} & set(found)


def test_a_settings_module_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.settings")
    for name in ("nowhere.settings", "tests.no_settings"):
        with pytest.raises(
            composition.ProjectError, match=f"'{name}' cannot be imported: No module named .*PYTHONPATH"
        ):
            composition.load(name)


def test_without_a_settings_module_the_cure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE")
    with pytest.raises(composition.ProjectError, match="give --settings"):
        composition.load(None)


def test_a_settings_module_that_fails_is_told_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "failing_settings.py").write_text("\nimport not_installed_here\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.settings")
    with pytest.raises(composition.ProjectError, match=r"No module named 'not_installed_here' .*settings\.py:2\)"):
        composition.load("failing_settings")
    assert "failing_settings" not in sys.modules


def test_another_database_than_postgresql_is_refused(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sqlite3.sqlite_version
    monkeypatch.setattr(connection, "vendor", "sqlite")
    with pytest.raises(composition.ProjectError, match="needs PostgreSQL"):
        composition.load(None)


def test_a_policy_that_reconciles_needs_somebody_who_tells(db: str) -> None:
    channels.register("pager", ChannelSpec(build=NullChannel))
    register(Policy(name="paged", window=HOUR, channel=["inbox", "pager"], on_unknown="reconcile"))
    register(Policy(name="mailed", window=HOUR, channel="sendgrid", on_unknown="reconcile"))
    given = {"SENDGRID_API_KEY": SECRET, "FROM_EMAIL": "us@example.com"}
    with override_settings(PGSUPERVISE=given):
        found = composition.problems()
    assert found == [
        "policy 'paged': on_unknown is 'reconcile', but nobody tells what became of messages by 'pager': use 'resend' "
        "or 'hold'",
        "policy 'mailed': on_unknown is 'reconcile', but there is no key for SendGrid's Event Webhook: switch on its "
        "signature, and set PGSUPERVISE['SENDGRID_WEBHOOK_KEYS'] to its verification key",
    ]
    with override_settings(PGSUPERVISE={**given, "SENDGRID_WEBHOOK_KEYS": Signer().key}):
        assert len(composition.problems()) == 1


@pytest.mark.parametrize("channel", ["sendgrid", "sendgrid-template"])
@pytest.mark.parametrize("in_reserve", [False, True])
def test_a_policy_that_reconciles_needs_the_webhook_by_whichever_channel_of_sendgrid(
    channel: str, in_reserve: bool
) -> None:
    chosen, fallback = ("inbox", channel) if in_reserve else (channel, ())
    register(Policy(name="mailed", window=HOUR, on_unknown="reconcile", channel=chosen, fallback=fallback))
    with override_settings(PGSUPERVISE={}):
        assert len(list(unknown_problems())) == 1
    with override_settings(PGSUPERVISE={"SENDGRID_WEBHOOK_KEYS": Signer().key}):
        assert list(unknown_problems()) == []


def test_what_the_webhook_needs_is_checked_without_showing_a_key() -> None:
    good, bad = Signer(), Signer().key[:-8]
    faulty = {
        "SENDGRID_WEBHOOK_KEYS": [good.key, bad],
        "SENDGRID_WEBHOOK_FRESHNESS": 5,
        "UNKNOWN_GRACE": "soon",
        "INSTALLATION": "a\nb",
    }
    with override_settings(PGSUPERVISE=faulty):
        found = settings.problems()
    assert [fault.split(" ", 1)[1] for fault in found] == [
        "has a fault in key 2 of 2: it is no public key: copy the verification key from SendGrid's settings again",
        "is 5: it must be a number of seconds, from 60 to 172800 (two days)",
        "is 'soon': it must be a number of seconds, from 1 to 259200 (three days)",
        "is no name: it is 'a\\nb': remove the character '\\n', it is no text",
    ]
    with override_settings(PGSUPERVISE={"SENDGRID_WEBHOOK_KEYS": 5}):
        (fault,) = settings.problems()
        assert fault.endswith("is of type int: it must be a verification key, or a list of them")
    with override_settings(PGSUPERVISE={"SENDGRID_WEBHOOK_KEYS": good.pem, "UNKNOWN_GRACE": 60}):
        assert settings.problems() == []
        assert settings.read().webhook_keys == [good.pem]
        assert good.key not in repr(settings.read())
        assert good.pem not in repr(settings.read())
        assert composition.load(None).unknown_grace == timedelta(seconds=60)
