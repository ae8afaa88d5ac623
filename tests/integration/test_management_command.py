"""`manage.py pgsupervise` is the console script."""

import pytest
from click.testing import CliRunner
from django.core.management import call_command, execute_from_command_line
from django.db import connection

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


def test_a_command_that_succeeds_returns_to_the_code_that_called_it(
    db: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("pgsupervise", "conservation")
    assert "ok: each event" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["explain", "ada"], ["preview", "7"], ["conservation"], ["policies", "hourly"]])
def test_each_command_tells_of_missing_migrations_and_takes_settings_after_its_name(
    db: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.settings")  # the commands set it for their process
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE pgsupervise_batch RENAME TO elsewhere")
    try:
        ran = CliRunner().invoke(cli.main, [*words, "--settings", "tests.settings"])
        call = CliRunner().invoke(cli.main, ["preview", "nobody@example.com", "--settings", "nowhere.settings"])
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO pgsupervise_batch")
    assert (ran.exit_code, "the tables pgsupervise_batch are missing" in ran.output) == (2, True)
    assert (call.exit_code, "'nowhere.settings' cannot be imported" in call.output) == (2, True)
