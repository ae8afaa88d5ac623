"""The README's way out of trouble, as it stands there."""

import re
from pathlib import Path

import pytest
from django.utils import timezone

from pgsupervise.django_app.models import FinishedTask, Task

README = (Path(__file__).parents[2] / "README.md").read_text()
pytestmark = pytest.mark.usefixtures("db")


def test_the_snippets_put_things_right() -> None:
    now = timezone.now()
    FinishedTask.objects.create(
        id=7, name="shop.tasks.send_invoice", args=[42], state="DEAD", bucket=0, finished_at=now, run_at=now, attempt=5
    )
    Task.objects.create(id=8, name="shop.tasks.send_invoice", args=[43])
    (block,) = [block for block in re.findall(r"```python\n(.*?)```", README, re.S) if "FinishedTask" in block]
    exec(compile(block, "README.md", "exec"), {})  # noqa: S102 - the README's own lines are what is tested
    again = Task.objects.get(cancel_requested_at=None)
    assert Task.objects.exclude(cancel_requested_at=None).get().pk == 8
    assert (again.name, again.args, again.state, again.attempt) == ("shop.tasks.send_invoice", [42], "READY", 0)
