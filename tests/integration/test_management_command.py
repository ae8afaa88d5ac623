"""`manage.py pgsupervise` is the console script."""

import pytest
from django.core.management import call_command, execute_from_command_line

from pgsupervise.supervisor import cli


def test_help_is_that_of_the_console_script(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        execute_from_command_line(["manage.py", "pgsupervise", "--help"])
    assert ended.value.code == 0
    through_django = capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(["--help"], prog_name="manage.py pgsupervise")
    assert through_django == capsys.readouterr().out
    assert "--partitions" in through_django


def test_options_and_exit_codes_pass_through(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        execute_from_command_line(["manage.py", "pgsupervise", "--partitions", "many"])
    assert ended.value.code == 2
    assert "many" in capsys.readouterr().err


def test_it_can_be_called_from_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("pgsupervise", "--", "--partitions", "many")
    assert ended.value.code == 2
