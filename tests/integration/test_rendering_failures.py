"""A template that fails: told on its batch, tried again, and nobody else's trouble."""

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import ProgrammingError, transaction
from django.db import connection as django_connection
from django.db.models.expressions import RawSQL
from django.test import override_settings

from pgsupervise.django_app import channels, policies
from pgsupervise.django_app.models import Batch
from pgsupervise.django_app.policies import Policy, register
from pgsupervise.django_app.previewing import preview
from pgsupervise.django_app.rendering import RenderError, bounds, render, template_problems, templates
from pgsupervise.partitions.marks import Marks
from pgsupervise.supervisor.flushing import Flushing
from pgsupervise.supervisor.outcomes import Done
from pgsupervise.supervisor.project import PolicySpec, Project
from tests.integration.test_notification_rows import BUCKET, HOUR, NOON, add_event
from tests.integration.test_rendering import batch, item, payload
from tests.integration.world import one, owner_of
from tests.registries import own_registries

Connect = Callable[[], psycopg.Connection]
LIBRARIES = {"naughty": "tests.integration.naughty"}
LOAD = "{% load naughty %}"
FAULTS = {
    "plain": (LOAD + "{{ 'no such thing'|raising:'ValueError' }}", "ValueError: no such thing"),
    "deep": ("{% include 'deep/body.txt' %}", "RecursionError: maximum recursion depth exceeded"),
    "recursion": (LOAD + "{{ 'deep'|raising:'RecursionError' }}", "RecursionError: deep"),
    "memory": (LOAD + "{{ 'full'|raising:'MemoryError' }}", "MemoryError: full"),
    "stop": (LOAD + "{{ 'stop'|raising:'StopIteration' }}", "StopIteration: stop"),
    "exit": (LOAD + "{{ 'bye'|raising:'SystemExit' }}", "RenderError: SystemExit('bye') was raised"),
    "interrupt": (LOAD + "{{ 'c'|raising:'KeyboardInterrupt' }}", "RenderError: KeyboardInterrupt('c') was raised"),
    "generator": (LOAD + "{{ 'g'|raising:'GeneratorExit' }}", "RenderError: GeneratorExit('g') was raised"),
    "dumb": (LOAD + "{{ 'x'|raising:'UnprintableError' }}", "UnprintableError, which cannot be printed for TypeError"),
    "filter": ("{{ count|no_such_filter }}", "Invalid filter: 'no_such_filter'"),
    "library": ("{% load no_such_library %}", "'no_such_library' is not a registered tag library"),
    "endless": (LOAD + "{% for i in 1|endless %}x{% endfor %}", "takes more than 1000 turns of its loops"),
    "unpacking": (LOAD + "{% for i, j in 1|endless %}x{% endfor %}", "takes more than 1000 turns of its loops"),
    "large": (LOAD + "{{ 'ü'|times:8000000 }}", "template large/body.txt gave 16000000 bytes, and 14000000 are"),
    "missing": (None, "TemplateDoesNotExist: missing/body.txt"),
}
NASTY = LOAD + r"{{ 'a\u0000b\ud800c\udfff\ud83d\ude00'|unescaped }}"


@pytest.fixture(autouse=True)
def own_templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    backend = {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [tmp_path],
        "OPTIONS": {"libraries": LIBRARIES},  # without debug, so that templates are kept once they are read
    }
    monkeypatch.setattr(templates, "_forgotten_at", float("-inf"))
    monkeypatch.setattr(bounds, "MOST_TURNS", 1000)
    with own_registries(), override_settings(TEMPLATES=[backend]):
        policies._registry.clear()
        yield tmp_path


def declare(folder: Path, name: str, text: str | None, **options: Any) -> Policy:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "subject.txt").write_text("news")
    if text is not None:
        (folder / name / "body.txt").write_text(text)
    return register(Policy(name=name, window=HOUR, template=name, **options))


class World:
    """A bucket's owner, which renders with the project's templates in a thread as a worker's flusher does."""

    def __init__(self, connect: Connect) -> None:
        self.connection = connect()
        self.owner, self.epochs = owner_of(self.connection, BUCKET)
        self.project = Project(
            conninfo={},
            tasks={},
            run_task=lambda task: Done(),
            policies={name: PolicySpec(rule=policy.rule()) for name, policy in policies.registry.items()},
            render=render,
            channels=channels.known(),
            longest_send=timedelta(seconds=1),
            close_connections=lambda: None,
        )

    def flush(self, at: datetime) -> None:
        self.connection.execute("UPDATE pgsupervise_clock SET simulated_at = %s", [at])
        turn = Flushing(
            self.project,
            self.connection,
            owner=self.owner,
            bucket=BUCKET,
            epoch=self.epochs[BUCKET],
            marks=Marks(),
        )
        ended = []

        def run() -> None:
            turn.run(due=True, may_go_on=lambda: True)
            ended.append(True)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        assert ended, "the flusher's thread has died"

    def errors(self) -> dict[str, str]:
        rows = self.connection.execute("SELECT policy, error FROM pgsupervise_batch WHERE state <> 'SEALED'")
        return dict(rows.fetchall())

    def texts(self) -> dict[str, str]:
        return dict(self.connection.execute("SELECT policy, payload->>'text' FROM pgsupervise_delivery").fetchall())


def test_whatever_a_template_does_the_others_go_out_and_it_does_when_it_is_mended(
    connect: Connect, own_templates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, (text, _) in FAULTS.items():
        declare(own_templates, name, text)
    declare(own_templates, "fine", "fine")
    declare(own_templates, "nasty", NASTY)
    world = World(connect)
    for name in policies.registry:
        add_event(world.connection, NOON, policy=name)
    world.flush(NOON + 2 * HOUR)
    assert world.texts() == {"fine": "fine", "nasty": "ab\ufffdc\ufffd\U0001f600"}
    errors = world.errors()
    assert errors.keys() == FAULTS.keys()
    assert {name: errors[name] for name, (_, words) in FAULTS.items() if words not in errors[name]} == {}
    for name in FAULTS:
        (own_templates / name / "body.txt").write_text("mended")
    world.flush(NOON + 2 * HOUR + timedelta(seconds=59))
    assert world.errors() == errors, "not yet"
    monkeypatch.setattr(templates, "_forgotten_at", float("-inf"))  # a minute has passed for the templates, too
    world.flush(NOON + 2 * HOUR + timedelta(seconds=61))
    assert world.errors() == {}
    assert world.texts() == {"fine": "fine", "nasty": "ab\ufffdc\ufffd\U0001f600"} | dict.fromkeys(FAULTS, "mended")
    assert one(world.connection, "SELECT count(*) FROM pgsupervise_batch WHERE error <> ''") == 0


def test_an_address_that_cannot_be_had_is_a_failure_like_any_other(connect: Connect, own_templates: Path) -> None:
    def leaving(recipient: str) -> str:
        raise SystemExit(recipient)

    def wordless(recipient: str) -> str:
        return None  # type: ignore[return-value]

    declare(own_templates, "leaving", "x", address=leaving)
    declare(own_templates, "wordless", "x", address=wordless)
    declare(own_templates, "fine", "fine")
    world = World(connect)
    for name in policies.registry:
        add_event(world.connection, NOON, policy=name)
    world.flush(NOON + 2 * HOUR)
    assert world.texts() == {"fine": "fine"}
    errors = world.errors()
    assert errors["leaving"].startswith("RenderError: SystemExit('ada@example.com') was raised")
    assert "it must be a str" in errors["wordless"]


def test_a_failure_names_its_template_and_the_line(connect: Connect, own_templates: Path) -> None:
    declare(own_templates, "including", "one\n{% include 'included/body.txt' %}")
    declare(own_templates, "included", "one\ntwo\n" + str(FAULTS["plain"][0]))
    world = World(connect)
    add_event(world.connection, NOON, policy="including")
    world.flush(NOON + 2 * HOUR)
    (error,) = world.errors().values()
    assert "no such thing" in error
    assert error.endswith(" (template included/body.txt, line 3)")
    shown = preview(Batch.objects.get())
    assert shown.error.endswith(" (template included/body.txt, line 3)")


def test_ctrl_c_is_the_user_s(own_templates: Path) -> None:
    declare(own_templates, "interrupt", FAULTS["interrupt"][0])
    with pytest.raises(KeyboardInterrupt):
        render(batch(item(1), policy="interrupt"))


def test_templates_are_not_read_anew_for_each_failing_batch(own_templates: Path) -> None:
    declare(own_templates, "plain", FAULTS["plain"][0])
    with pytest.raises(ValueError, match="no such thing"):
        render(batch(item(1), policy="plain"))
    (own_templates / "plain" / "body.txt").write_text("mended")
    with pytest.raises(ValueError, match="no such thing"):
        render(batch(item(1), policy="plain"))


def test_a_size_that_is_allowed_is_sent_and_one_byte_more_is_not(own_templates: Path) -> None:
    declare(own_templates, "most", LOAD + "{{ 'x'|times:14000000 }}")
    assert len(payload(batch(item(1), policy="most"))["text"]) == 14_000_000
    declare(own_templates, "more", LOAD + "{{ 'x'|times:14000001 }}")
    with pytest.raises(RenderError, match=r"show fewer items, with Policy\(retain=Retain\(last=20\)\)"):
        render(batch(item(1), policy="more"))


def test_the_turns_are_those_of_all_loops_together(own_templates: Path) -> None:
    loops = "{% for i in items %}{% for j in items %}{% endfor %}{% endfor %}"
    declare(own_templates, "square", loops)
    assert payload(batch(*map(item, range(30)), policy="square"))["text"] == ""
    with pytest.raises(RenderError, match=r"template square/body\.txt takes more than 1000 turns"):
        render(batch(*map(item, range(32)), policy="square"))


def test_faults_that_can_be_seen_ahead_are_seen_ahead(own_templates: Path) -> None:
    for name in ("filter", "library", "missing"):
        (problem,) = template_problems(declare(own_templates, name, FAULTS[name][0]))
        assert f"policy {name!r}: " in problem
    (own_templates / "filter" / "body.txt").write_text("x")
    (own_templates / "filter" / "single_subject.txt").write_text("{% endfor %}")
    templates.forget_templates()
    (problem,) = template_problems(policies.registry["filter"])
    assert "template filter/single_subject.txt is faulty" in problem


@pytest.mark.usefixtures("db")
def test_a_connection_that_the_server_has_ended_is_no_fault_of_the_template(
    connect: Connect, own_templates: Path
) -> None:
    def address(recipient: str) -> str:
        return User.objects.get(username=recipient).email

    User.objects.create_user("ann", "ann@example.com")
    declare(own_templates, "mail", "x", address=address)
    due = batch(item(1), policy="mail", recipient="ann")
    for _ in range(2):
        pid = one(connect(), "SELECT pid FROM pg_stat_activity WHERE pid = %s", _backend())
        connect().execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        assert payload(due)["to"] == "ann@example.com"
    with pytest.raises(User.DoesNotExist):
        render(batch(item(1), policy="mail", recipient="bob"))


def _backend() -> int:
    django_connection.ensure_connection()
    pid: int = django_connection.connection.info.backend_pid
    return pid


@pytest.mark.usefixtures("db")
def test_a_preview_inside_a_transaction_leaves_the_caller_s_transaction_alone(own_templates: Path) -> None:
    def address(recipient: str) -> str:
        return User.objects.annotate(is_it=RawSQL(recipient, [])).get(is_it=True).email  # noqa: S611 - to fail

    declare(own_templates, "mail", "x", address=address)
    with transaction.atomic():
        User.objects.create_user("eve", "eve@example.com")
        with pytest.raises(ProgrammingError), transaction.atomic():
            render(batch(item(1), policy="mail", recipient="no_such_column"))
        assert payload(batch(item(1), policy="mail", recipient="username = 'eve'"))["to"] == "eve@example.com"
    assert User.objects.filter(username="eve").exists()
    pid = _backend()
    django_connection.close_at = None  # as in a worker, which keeps its connections
    with pytest.raises(ProgrammingError):
        render(batch(item(1), policy="mail", recipient="no_such_column"))
    assert _backend() == pid, "nothing is wrong with the connection"
