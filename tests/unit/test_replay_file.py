"""The replay's file and options: what is refused, where and why, before anything is started."""

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from pgsupervise.django_app import notifications
from pgsupervise.django_app.replay import reader
from pgsupervise.django_app.replay.command import replay
from pgsupervise.django_app.replay.options import PolicyOptions
from pgsupervise.django_app.replay.parameters import duration, kill_interval
from pgsupervise.django_app.replay.reader import BrokenFile, FileEvent, read_events

HEADER = "at,change,actor,recipient,object\n"
ROW = "2009-05-19T10:31:13Z,1,u1,u2,index.html\n"
LATER = "2010-01-01T00:00:00Z,2,u1,u2,index.html\n"
SAMPLE = Path(reader.__file__).with_name("sample.csv.gz")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.csv"


def refusal(path: Path) -> str:
    with pytest.raises(BrokenFile) as refused:
        read_events(path)
    return str(refused.value)


def test_the_shipped_sample_is_the_beginning_of_the_activity_and_small() -> None:
    events = read_events(SAMPLE)
    assert len(events) == 10_000
    assert events[0] == FileEvent(datetime(2009, 5, 19, 10, 31, 13, tzinfo=UTC), "1", "u00001", "u00002", "index.html")
    assert SAMPLE.stat().st_size <= 100_000
    activity = Path(__file__).parents[1] / "data" / "activity.csv.gz"
    assert read_events(activity, limit=10_000) == events


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_file_is_read_compressed_or_not_whatever_its_name(file: Path, packed: bool, ending: str) -> None:
    raw = ("\ufeff" + HEADER + ROW + LATER.strip()).replace("\n", ending).encode()
    file.write_bytes(gzip.compress(raw) if packed else raw)
    assert [event.change for event in read_events(file)] == ["1", "2"]
    assert [event.change for event in read_events(file, limit=1)] == ["1"]


def test_quoted_fields_and_other_time_zones_are_read(file: Path) -> None:
    file.write_text(HEADER + '2009-05-19T12:31:13.5+02:00,1,"Smith, Bob",ü@example.com,"a ""b"""\n')
    (event,) = read_events(file)
    assert event == FileEvent(
        datetime(2009, 5, 19, 10, 31, 13, 500000, tzinfo=UTC), "1", "Smith, Bob", "ü@example.com", 'a "b"'
    )


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2010-01-01T00:00:00Z,2,u1,u2", "4 columns instead of 5"),
        ("2010-01-01T00:00:00Z,2,u1,u2,a,b", "6 columns instead of 5"),
        ("", "the line is empty"),
        ("yesterday,2,u1,u2,a", "at is 'yesterday': it must be a time such as"),
        ("2010-01-01T00:00:00,2,u1,u2,a", "without a time zone: add Z"),
        ("2010-01-01,2,u1,u2,a", "without a time zone: add Z"),
        ("9999-12-31T23:59:59-12:00,2,u1,u2,a", "its year is not from 1900 to 2199"),
        ("2009-05-19T10:31:12Z,2,u1,u2,a", "at goes back to 2009-05-19T10:31:12Z: sort the rows by at"),
        ("2010-01-01T00:00:00Z,2,u1,,a", "recipient is empty"),
        (f"2010-01-01T00:00:00Z,2,u1,{'u' * 321},a", "321 characters: shorten it to 320"),
        (f"2010-01-01T00:00:00Z,2,{'u' * 321},u2,a", "321 characters: shorten it to 320"),
        (f"2010-01-01T00:00:00Z,2,u1,u2,{'u' * 501}", "501 characters: shorten it to 500"),
        ("2010-01-01T00:00:00Z,2,u1,u\x002,a", r"remove the character '\x00'"),
        ("2010-01-01T00:00:00Z,2,u1,u2\t,a", r"remove the character '\t'"),
        ('2010-01-01T00:00:00Z,2,u1,"u2,a', "unexpected end of data"),
        ('2010-01-01T00:00:00Z,2,u1,"u2"x,a', "',' expected after '\"'"),
        (f"2010-01-01T00:00:00Z,2,u1,u2,{'u' * 100_001}", "the line is longer than 100000 bytes"),
    ],
)
def test_a_broken_row_is_named_with_its_line_and_reason(file: Path, row: str, reason: str) -> None:
    file.write_text(HEADER + ROW + row + "\n" + LATER)
    message = refusal(file)
    assert message.startswith(f"{file}:3: ")
    assert reason in message
    assert message.isprintable()


def test_a_line_that_is_not_utf8_is_named(file: Path) -> None:
    file.write_bytes((HEADER + ROW).encode() + b"2010-01-01T00:00:00Z,2,u1,\xff,a\n")
    assert refusal(file) == f"{file}:3: byte 27 of the line is not UTF-8"


@pytest.mark.parametrize("text", ["", ROW, "at,change,actor,recipient\n", "\n" + HEADER])
def test_a_file_without_its_header_is_refused(file: Path, text: str) -> None:
    file.write_text(text)
    assert refusal(file) == f"{file}:1: the header is not at,change,actor,recipient,object"


def test_a_file_without_events_is_refused(file: Path) -> None:
    file.write_text(HEADER)
    assert refusal(file) == f"{file}: there is no event after the header"


def test_a_compressed_file_that_is_cut_off_or_damaged_is_refused(file: Path) -> None:
    whole = SAMPLE.read_bytes()
    file.write_bytes(whole[:20_000])
    assert "the compressed file is damaged or cut off" in refusal(file)
    file.write_bytes(whole[:20_000] + bytes(100) + whole[20_100:])
    assert refusal(file).startswith(f"{file}:")
    file.write_bytes(whole[:-4] + b"\x00\x00\x00\x00")  # its own count of its bytes
    assert f"{file}:10002: the compressed file is damaged or cut off" in refusal(file)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.csv") == f"{tmp_path}/none.csv: no such file or directory"
    assert refusal(tmp_path) == f"{tmp_path}: is a directory"


def test_the_reader_accepts_what_notify_accepts() -> None:
    ours = (reader.LIMITS["recipient"], reader.LIMITS["actor"], reader.LIMITS["object"])
    assert ours == (notifications.MAX_RECIPIENT, notifications.MAX_ACTOR, notifications.MAX_OBJECT)


def test_durations_are_read() -> None:
    texts = ["90s", "5m", "1h", "1d", "1.5h"]
    seconds = [90, 300, 3600, 86400, 5400]
    assert [duration(text) for text in texts] == [timedelta(seconds=number) for number in seconds]


@pytest.mark.parametrize("text", ["", "1", "d", "-1d", "1w", "1 d", "1e3s", "nan", "٣d", "1d\n"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration such as"):
        duration(text)


@pytest.mark.parametrize("text", ["", "kill", "kill:", "kill:0", "kill:-1", "kill:1s", "stop:1", "kill:nan"])
def test_other_faults_are_refused(text: str) -> None:
    assert kill_interval("kill:0.5") == timedelta(milliseconds=500)
    with pytest.raises(ValueError, match="is not kill:SECONDS"):
        kill_interval(text)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("--window 0s", "window is 0:00:00: it must be longer than zero"),
        ("--window tomorrow", "is not a duration such as"),
        ("--window 4000d", "shorten it"),
        ("--window 2h --sliding-max 1h", "sliding_max 1:00:00 is shorter than window 2:00:00"),
        ("--flush-at 0", "flush_at is 0: it must be at least 1"),
        ("--partitions 0", "--partitions is 0: it must be from 1 to 256"),
        ("--partitions 257", "--partitions is 257: it must be from 1 to 256"),
        ("--limit 0", "--limit is 0: it must be at least 1"),
        ("--chunk 0", "--chunk is 0"),
        ("--chaos kill:0", "is not kill:SECONDS"),
        ("--key actor", "is not one of"),
        ("--channel fax", "is not one of"),
        ("--channel sendgrid", "set the environment variable SENDGRID_API_KEY"),
    ],
)
def test_a_faulty_option_is_refused_with_its_cure(monkeypatch: pytest.MonkeyPatch, options: str, reason: str) -> None:
    monkeypatch.delenv("SENDGRID_API_KEY", raising=False)
    done = CliRunner().invoke(replay, ["none.csv", *options.split()])
    assert done.exit_code == 2
    assert reason in done.output


def test_all_faulty_options_are_told_at_once() -> None:
    done = CliRunner().invoke(replay, ["none.csv", "--window", "0s", "--flush-at", "0", "--partitions", "0"])
    assert [line[:7] for line in done.output.splitlines()] == ["error: "] * 3


def test_the_policy_reaches_the_other_process_as_it_is() -> None:
    policies = [
        PolicyOptions(window=timedelta(seconds=90.5)),
        PolicyOptions(window=timedelta(hours=1), sliding_max=timedelta(days=1), key="object"),
        PolicyOptions(window=timedelta(days=1), flush_at=10, channel="inbox"),
    ]
    assert [PolicyOptions.from_environment(policy.environment("dbname=x")) for policy in policies] == policies
