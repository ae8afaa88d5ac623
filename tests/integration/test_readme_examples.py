"""The README's way out of trouble, and its test of a project's own, as they stand there."""

import re
import unittest
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from pgsupervise.django_app.models import FinishedTask, Preference, Recipient, Task, TenantPreference
from pgsupervise.django_app.policies import Policy, register
from tests.registries import own_registries

README = (Path(__file__).parents[2] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.S)
pytestmark = pytest.mark.usefixtures("db")


def test_the_snippets_put_things_right() -> None:
    now = timezone.now()
    FinishedTask.objects.create(
        id=7, name="shop.tasks.send_invoice", args=[42], state="DEAD", bucket=0, finished_at=now, run_at=now, attempt=5
    )
    Task.objects.create(id=8, name="shop.tasks.send_invoice", args=[43])
    (block,) = [block for block in BLOCKS if "FinishedTask" in block]
    exec(compile(block, "README.md", "exec"), {})  # noqa: S102 - the README's own lines are what is tested
    again = Task.objects.get(cancel_requested_at=None)
    assert Task.objects.exclude(cancel_requested_at=None).get().pk == 8
    assert (again.name, again.args, again.state, again.attempt) == ("shop.tasks.send_invoice", [42], "READY", 0)


def test_the_example_of_a_test_holds_for_the_example_of_a_policy() -> None:
    declared, tested = (
        next(block for block in BLOCKS if words in block) for words in ('register(Policy(name="comments"', "(TestCase)")
    )
    names: dict[str, Any] = {}
    with own_registries():
        for block in (declared, tested):
            exec(compile(block, "README.md", "exec"), names)  # noqa: S102 - the README's own lines are what is tested
        result = unittest.TestResult()
        unittest.defaultTestLoader.loadTestsFromTestCase(names["Comments"]).run(result)
    assert (result.testsRun, result.errors, result.failures) == (1, [], [])


def test_what_a_recipient_wishes_can_be_stored_as_it_is_shown() -> None:
    (block,) = [block for block in BLOCKS if "set_tenant_preference(" in block]
    with own_registries():
        register(Policy(name="comments", window=timedelta(hours=1)))
        register(Policy(name="news", window=timedelta(hours=1), category="marketing"))
        exec(compile(block, "README.md", "exec"), {})  # noqa: S102 - the README's own lines are what is tested
    ann = Recipient.objects.get()
    assert (ann.recipient, ann.time_zone, ann.properties) == ("ann@example.com", "Europe/Rome", {"plan": "pro"})
    assert (Preference.objects.count(), TenantPreference.objects.count()) == (3, 1)
