"""Counts outlive the children that make them, and a spoilt file costs only itself.

Where counts live is a matter of a whole process, so each test runs a script in a process of its own.
"""

import os
import stat
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from pgsupervise.metrics.files import read_counts

PRELUDE = """
import os, signal, sys
from pathlib import Path
from pgsupervise.metrics import recorder, store
from pgsupervise.metrics.files import read_counts

folder = Path(sys.argv[1])

def child(slot, work):
    pid = os.fork()
    if not pid:
        if slot:
            store.identify(slot)
        work()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)

def claimed():
    samples = [sample for metric in read_counts(folder).metrics for sample in metric.samples]
    return sum(sample.value for sample in samples if sample.name == "pgsupervise_tasks_claimed_total")
"""


def run(folder: Path, script: str) -> str:
    command = [sys.executable, "-W", "error", "-c", PRELUDE + script, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def write_counter(path: Path, value: float) -> None:
    file = MmapedDict(str(path))  # type: ignore[no-untyped-call]
    key = mmap_key("pgsupervise_beats", "pgsupervise_beats_total", [], [], "Heartbeats")
    file.write_value(key, value, 0.0)  # type: ignore[no-untyped-call]
    file.close()  # type: ignore[no-untyped-call]


def total(folder: Path) -> float:
    return sum(sample.value for metric in read_counts(folder).metrics for sample in metric.samples)


def test_the_next_child_of_a_slot_counts_on_from_where_a_killed_one_ended(tmp_path: Path) -> None:
    script = """
store.use_directory(folder)
recorder.tasks_claimed(1)
for slot in ("worker-1", "worker-2", "worker-1", "worker-1"):
    child(slot, lambda: recorder.tasks_claimed(10))
recorder.tasks_claimed(1)
print(claimed(), *sorted(path.name for path in folder.iterdir()))
"""
    assert run(tmp_path, script).split() == [
        "42.0",
        *[f"counter_{slot}.db" for slot in ("supervisor", "worker-1", "worker-2")],
        *[f"histogram_{slot}.db" for slot in ("supervisor", "worker-1", "worker-2")],
        "lock",
    ]


def test_a_process_that_a_task_forks_does_not_touch_its_workers_counts(tmp_path: Path) -> None:
    script = """
store.use_directory(folder)
def task():
    recorder.tasks_claimed(5)
    child(None, lambda: recorder.tasks_claimed(100))
    recorder.tasks_claimed(5)
child("worker-0", task)
print(claimed(), len(list(folder.glob("*fork*"))))
child("worker-0", lambda: None)
print(len(list(folder.glob("*fork*"))))
"""
    counted, left, after = run(tmp_path, script).split()
    assert counted == "10.0"
    assert int(left) > 0
    assert int(after) == 0


def test_counting_before_the_directory_is_named_does_no_harm(tmp_path: Path) -> None:
    script = """
recorder.tasks_claimed(1000)
store.use_directory(folder)
recorder.tasks_claimed(2)
print(claimed())
"""
    assert run(tmp_path, script) == "2.0"


def test_counts_of_an_earlier_run_are_gone_and_other_files_stay(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    write_counter(tmp_path / "counter_worker-7.db", 99)
    assert run(tmp_path, "store.use_directory(folder); recorder.tasks_claimed(2); print(claimed())") == "2.0"
    assert not (tmp_path / "counter_worker-7.db").exists()
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_two_supervisors_never_share_a_directory_and_orphans_of_a_killed_one_do_not_hold_it(tmp_path: Path) -> None:
    script = """
import subprocess
follow = "import sys; from pgsupervise.metrics import store; store.use_directory(sys.argv[1])"
successor = [sys.executable, "-c", follow, str(folder)]
orphan_ready, tell_ready = os.pipe()
told_to_end, end = os.pipe()
first = os.fork()
if not first:
    os.close(end)
    store.use_directory(folder)
    if not os.fork():
        store.identify("worker-0")
        os.write(tell_ready, b"1")
        os.read(told_to_end, 1)
        os._exit(0)
    signal.pause()
os.read(orphan_ready, 1)
refused = subprocess.run(successor, capture_output=True, text=True)
print(refused.returncode, "BlockingIOError" in refused.stderr)
os.kill(first, signal.SIGKILL)
os.waitpid(first, 0)
print(subprocess.run(successor).returncode)
os.close(end)
"""
    assert run(tmp_path, script).split() == ["1", "True", "0"]


def test_a_directory_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    script = """
try:
    store.use_directory(folder)
except PermissionError as error:
    print(error)
"""
    assert "must be a directory of uid" in run(tmp_path, script)


def test_a_new_directory_is_for_its_owner_only(tmp_path: Path) -> None:
    run(tmp_path / "new", "store.use_directory(folder)")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_a_child_works_on_when_the_directory_was_swept_away(tmp_path: Path) -> None:
    script = """
import shutil
store.use_directory(folder)
shutil.rmtree(folder)
child("worker-0", lambda: recorder.tasks_claimed(3))
print(claimed())
"""
    assert run(tmp_path / "swept", script) == "3.0"


def test_a_child_counts_in_memory_where_no_file_can_be_made(tmp_path: Path) -> None:
    script = """
import shutil
store.use_directory(folder)
recorder.tasks_claimed(1)
shutil.rmtree(folder)
folder.write_text("in the way")
def work():
    recorder.tasks_claimed(3)
    print(store.directory(), flush=True)
child("worker-0", work)
"""
    assert run(tmp_path / "gone", script) == "None"


def test_a_slots_own_spoilt_file_is_replaced(tmp_path: Path) -> None:
    script = """
store.use_directory(folder)
child("worker-0", lambda: recorder.tasks_claimed(3))
path = folder / "counter_worker-0.db"
path.write_bytes(b"\\xff" * 5000)
print(claimed())
child("worker-0", lambda: recorder.tasks_claimed(4))
print(claimed())
"""
    assert run(tmp_path, script).split() == ["0", "4.0"]


@pytest.mark.parametrize("slot", ["", "Worker-1", "worker_1", "worker-1/../x", "fork-3", "worker-"])
def test_a_slot_name_that_would_not_be_read_back_is_refused(tmp_path: Path, slot: str) -> None:
    script = f"""
try:
    store.identify({slot!r})
except ValueError:
    print("refused")
"""
    assert run(tmp_path, script) == "refused"


def entry(key: bytes, length: int | None = None) -> bytes:
    padded = key + b" " * (8 - (len(key) + 4) % 8)
    body = struct.pack(f"i{len(padded)}sdd", len(key) if length is None else length, padded, 1.0, 0.0)
    return struct.pack("ii", 8 + len(body), 0) + body


SPOILT: dict[str, Callable[[Path], object]] = {
    "shorter than a header": lambda path: path.write_bytes(b"\x01"),
    "longer than the file": lambda path: path.write_bytes(struct.pack("ii", 1 << 30, 0)),
    "a negative length": lambda path: path.write_bytes(struct.pack("ii", -8, 0) + b"\0" * 64),
    "text": lambda path: path.write_bytes(b"PK\x03\x04 no counter at all" * 400),
    "a key beyond the end": lambda path: path.write_bytes(entry(b"[]", 4000)),
    "a negative key": lambda path: path.write_bytes(entry(b"[]", -40)),
    "a key that is no text": lambda path: path.write_bytes(entry(b"\xff\xfe\xfd")),
    "a key that is no JSON": lambda path: path.write_bytes(entry(b"{nonsense")),
    "a key of other JSON": lambda path: path.write_bytes(entry(b'["a", 1, {}, "b"]')),
    "labels that are a list": lambda path: path.write_bytes(entry(b'["a", "a", ["x"], "b"]')),
    "deeply nested": lambda path: path.write_bytes(entry(b"[" * 100_000)),
    "a directory": lambda path: path.mkdir(),
    "a pipe": lambda path: os.mkfifo(path),
    "a dangling link": lambda path: path.symlink_to("nowhere"),
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "far too large": lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), 1 << 40),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_spoilt_file_is_left_out_and_counted(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    write_counter(tmp_path / "counter_worker-0.db", 7)
    spoil(tmp_path / "counter_worker-1.db")
    assert total(tmp_path) == 7
    assert read_counts(tmp_path).skipped == 1


@pytest.mark.parametrize("name", ["counter_4711.db", "counter.db", "other_worker-1.db", "counter_worker-1_2.db", ".db"])
def test_a_file_that_no_slot_wrote_is_left_out_and_counted(tmp_path: Path, name: str) -> None:
    write_counter(tmp_path / "counter_worker-0.db", 7)
    write_counter(tmp_path / name, 100)
    assert total(tmp_path) == 7


def test_a_file_that_was_made_a_moment_ago_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "counter_worker-0.db").touch()
    (tmp_path / "histogram_worker-0.db").write_bytes(b"\0" * 4096)
    assert read_counts(tmp_path).skipped == 0


def test_every_cut_of_a_file_is_left_out_or_read_right(tmp_path: Path) -> None:
    path = tmp_path / "counter_worker-0.db"
    write_counter(path, 7)
    whole = path.read_bytes()[:512]
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert total(tmp_path) in (0, 7)


def test_a_directory_that_is_gone_reads_as_nothing(tmp_path: Path) -> None:
    found = read_counts(tmp_path / "gone")
    assert (found.metrics, found.skipped) == ([], 1)


def test_files_that_contradict_each_other_do_not_break_a_scrape(tmp_path: Path) -> None:
    write_counter(tmp_path / "counter_worker-0.db", 7)
    write_counter(tmp_path / "histogram_worker-1.db", 7)
    write_counter(tmp_path / "gauge_mostrecent_worker-1.db", 7)
    read_counts(tmp_path)
