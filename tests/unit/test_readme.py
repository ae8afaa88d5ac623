"""The README is the manual: what the code offers stands in it, and its examples are Python."""

import re
import signal
from pathlib import Path

import click
import pytest

from pgsupervise.django_app import settings as project_settings
from pgsupervise.django_app.replay.command import replay
from pgsupervise.metrics.exposition import metric_names
from pgsupervise.partitions import states
from pgsupervise.supervisor.cli import main
from pgsupervise.supervisor.exits import ExitCode
from pgsupervise.supervisor.supervisor import _SIGNALS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def options(command: click.Command) -> list[str]:
    return [name for parameter in command.params for name in parameter.opts if name.startswith("--")]


@pytest.mark.parametrize("option", [name for name in options(main) if name != "--version"])
def test_each_option_is_explained(option: str) -> None:
    assert f"`{option}`" in README


@pytest.mark.parametrize("option", options(replay))
def test_each_option_of_replay_is_named(option: str) -> None:
    assert option in README


@pytest.mark.parametrize("metric", metric_names())
def test_each_metric_is_named(metric: str) -> None:
    name = metric.removeprefix("pgsupervise")
    if name.endswith("_oldest_age_seconds"):
        assert "_oldest_age_seconds" in README
        name = name.removesuffix("_oldest_age_seconds")
    assert re.search(rf"`(pgsupervise)?{name}\b", README), f"{metric} is not in the README"


@pytest.mark.parametrize("number", [number for number in _SIGNALS if number != signal.SIGCHLD])
def test_each_signal_is_explained(number: signal.Signals) -> None:
    assert re.search(rf"^\| {number.name[3:]}\b|^\| \w+, {number.name[3:]} ", README, re.M)


@pytest.mark.parametrize("code", ExitCode)
def test_each_exit_code_is_explained(code: ExitCode) -> None:
    assert re.search(rf"^\| {int(code)} \|", README, re.M)


@pytest.mark.parametrize("key", project_settings._CHECKS)
def test_each_setting_is_shown(key: str) -> None:
    assert f'"{key}"' in README


@pytest.mark.parametrize(
    "state", sorted({*states.TaskState, *states.EventState, *states.BatchState, *states.DeliveryState} - {"CANCELLED"})
)
def test_each_state_stands_in_the_diagram(state: str) -> None:
    assert state in README


def test_the_examples_are_python() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.S)
    assert len(blocks) == 16
    for block in blocks:
        compile(block, "README.md", "exec")


def test_no_line_of_the_readme_names_a_file_that_is_not_there() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / link).exists(), link
