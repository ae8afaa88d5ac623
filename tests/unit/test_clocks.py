"""One clock decides who lives and what is due, PostgreSQL's now(): no process's own gets into a statement."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgsupervise.django_app import enqueueing, notifications
from pgsupervise.django_app.clock import EVENT_TIME
from pgsupervise.partitions.statements import all_names, load

ROOT = Path(__file__).parents[2]
PROCESSES = ("partitions", "supervisor", "metrics")

# now() is the transaction's own time: the same for all rows of a statement, and for the default of every column.
OTHER_SQL_CLOCK = re.compile(
    r"\b(clock_timestamp|statement_timestamp|transaction_timestamp|timeofday|current_timestamp|current_time|current_date"
    r"|localtime|localtimestamp)\b|'(now|today|tomorrow|yesterday)'|\bpg_postmaster_start_time\b",
    re.IGNORECASE,
)

WITHOUT_TIME_OF_DAY = {"monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep"}
READS_THE_CLOCK_UNLESS_GIVEN = {"gmtime": 1, "localtime": 1, "ctime": 1, "strftime": 2, "asctime": 1}
"""Functions of `time` that convert, if they get so many arguments."""
TELLS_THE_TIME = {"now", "utcnow", "today", "created", "st_mtime", "st_ctime", "st_atime", "getmtime", "getctime"}
"""Attributes, whatever they belong to: datetime's, Django's, a log record's, a file's."""


class ClientClocks(ast.NodeVisitor):
    """Collects where a module reads a time of day by itself."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._names_of_time = {"time"}

    def visit_Import(self, node: ast.Import) -> None:
        """Notice the name under which `time` is known."""
        self._names_of_time |= {alias.asname for alias in node.names if alias.name == "time" and alias.asname}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Find clocks that are imported by name."""
        for alias in node.names:
            is_clock = (
                (node.module == "time" and alias.name not in WITHOUT_TIME_OF_DAY)
                or (node.module == "django.utils.timezone" and alias.name == "now")
                or (node.module == "django.db.models.functions" and alias.name == "Now")  # statement_timestamp()
            )
            if is_clock:
                self.found.append(f"{node.module}.{alias.name}")

    def visit_Call(self, node: ast.Call) -> None:
        """Let pass what converts a time that it is given, and find Django's fields that fill themselves."""
        self.found += [word.arg for word in node.keywords if word.arg in ("auto_now", "auto_now_add")]
        function = node.func
        if isinstance(function, ast.Attribute) and self._is_time(function.value):
            needed = READS_THE_CLOCK_UNLESS_GIVEN.get(function.attr)
            if needed is not None and len(node.args) >= needed:
                for argument in node.args:
                    self.visit(argument)
                return
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Find clocks by their names, called or handed on."""
        if self._is_time(node.value):
            if node.attr not in WITHOUT_TIME_OF_DAY:
                self.found.append(f"time.{node.attr}")
        elif node.attr in TELLS_THE_TIME:
            self.found.append(ast.unparse(node))
        self.generic_visit(node)

    def _is_time(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id in self._names_of_time


def client_clocks(source: str) -> list[str]:
    """Return the client clocks that a module reads."""
    finder = ClientClocks()
    finder.visit(ast.parse(source))
    return finder.found


def modules(package: str) -> Iterator[Path]:
    """Yield a package's modules, but not its migrations, which are declarations of the past."""
    for path in sorted((ROOT / package).rglob("*.py")):
        if "migrations" not in path.parts:
            yield path


def found_in(*packages: str) -> set[tuple[str, str]]:
    """Return each module of packages with the client clocks that it reads."""
    return {
        (path.relative_to(ROOT).as_posix(), clock)
        for package in packages
        for path in modules(package)
        for clock in client_clocks(path.read_text(encoding="utf-8"))
    }


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import datetime\nat = datetime.now()",
        "import datetime\nat = datetime.datetime.utcnow()",
        "from datetime import date\nday = date.today()",
        "import time\nat = time.time()",
        "import time as t\nat = t.time_ns()",
        "import time\nclock = time.time",
        "from time import time",
        "import time\nat = time.strftime('%H')",
        "import time\nat = time.gmtime()",
        "from django.utils import timezone\nat = timezone.now()",
        "from django.utils.timezone import now",
        "from django.db.models.functions import Now",
        "at = models.DateTimeField(auto_now_add=True)",
        "at = path.stat().st_mtime",
        "at = record.created",
    ],
)
def test_a_client_clock_is_recognised(source: str) -> None:
    assert client_clocks(source)


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.sleep(time.monotonic() - time.perf_counter())",
        "from time import monotonic",
        "import time\ntext = time.strftime('%H', time.gmtime(seconds))",
        "from datetime import datetime\nat = datetime.fromisoformat(text)",
    ],
)
def test_what_measures_or_converts_is_no_clock(source: str) -> None:
    assert not client_clocks(source)


@pytest.mark.parametrize("name", all_names())
def test_a_statement_knows_no_other_clock_than_now(name: str) -> None:
    assert not OTHER_SQL_CLOCK.search(_code(name))


@pytest.mark.parametrize("name", all_names())
def test_a_duration_is_a_number_and_not_text_around_a_placeholder(name: str) -> None:
    """The server takes no parameter inside a literal, and a cast would make whatever a process writes an interval."""
    code = _code(name)
    assert not placeholders_in_quotes(code)
    assert not re.search(r"%\(\w+\)s\s*::\s*(interval|timestamp\b|date\b|time\b)", code, re.IGNORECASE)
    for call in re.findall(r"make_interval\(([^()]*)\)", code):
        assert call.startswith("secs => ")


@pytest.mark.parametrize("text", ["clock_timestamp()", "CURRENT_TIMESTAMP", "'now'::timestamptz", "LOCALTIME"])
def test_another_clock_in_sql_is_recognised(text: str) -> None:
    assert OTHER_SQL_CLOCK.search(f"SELECT {text}")
    assert not OTHER_SQL_CLOCK.search("SELECT now(), created_at, started_at")


@pytest.mark.parametrize("text", ["interval '%(seconds)s s'", "interval '%s seconds'"])
def test_a_placeholder_in_quotes_is_recognised(text: str) -> None:
    assert placeholders_in_quotes(text)
    assert not placeholders_in_quotes("WHERE state = 'READY' AND name = %(name)s AND key = ''")


def placeholders_in_quotes(code: str) -> list[str]:
    """Return the literals that a process would have to write into the statement's text."""
    return [literal for literal in re.findall(r"'[^']*'", code) if re.search(r"%(\(\w+\))?s", literal)]


def test_the_processes_read_no_time_of_day_but_that_of_a_log_line() -> None:
    assert found_in(*PROCESSES) == {("supervisor/logs.py", "record.created")}


DJANGO_SIDE = {
    # How long ago something was, for a person to look at.
    ("django_app/admin/times.py", "timezone.now"),
    # Whether a pause is over, for a person to look at.
    ("django_app/models/channel.py", "timezone.now"),
    # The provider says until when to wait by its own clock; what is kept is a wait, bounded to seconds and minutes.
    ("django_app/channels/sendgrid_outcomes.py", "time.time"),
    # How old a signed request is: it is refused or taken, and nothing is stored.
    # The time that a webhook's receiver compares with its own, by Standard Webhooks.
    ("django_app/channels/webhook_signature.py", "time.time"),
    ("django_app/sendgrid_views.py", "timezone.now"),
    # Whether a worker that sleeps is to be woken for a task of soon: what is stored is the time that was given.
    ("django_app/times.py", "timezone.now"),
}


def test_the_django_side_reads_a_time_of_day_in_these_places_only() -> None:
    assert found_in("django_app") == DJANGO_SIDE


@pytest.mark.parametrize("module", sorted({module for module, _ in DJANGO_SIDE}))
def test_a_module_that_reads_a_time_of_day_writes_no_sql(module: str) -> None:
    assert not sql_calls((ROOT / module).read_text(encoding="utf-8"))


def test_a_module_that_writes_sql_is_recognised() -> None:
    for module in ("django_app/enqueueing.py", "django_app/notifications.py", "django_app/bulk.py"):
        assert sql_calls((ROOT / module).read_text(encoding="utf-8"))


def sql_calls(source: str) -> list[str]:
    """Return the calls by which a module writes to the database itself, and what it takes from `partitions`."""
    writes = {"execute", "executemany", "cursor", "copy", "write_row", "save", "create", "bulk_create", "update"}
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in writes:
            found.append(ast.unparse(node))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pgsupervise.partitions"):
            found.append(str(node.module))
    return found


def test_the_django_side_knows_no_other_clock_of_sql_either() -> None:
    for path in modules("django_app"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not OTHER_SQL_CLOCK.search(node.value), f"{path.relative_to(ROOT)}: {node.value[:80]}"


def test_a_run_at_relative_to_now_is_added_to_the_clock_of_the_database() -> None:
    source = ast.parse(Path(enqueueing.__file__).read_text(encoding="utf-8"))
    one, many = (text for text in _constants(source) if "now() + %s" in text)
    assert "'SCHEDULED', now() + %s) RETURNING id" in one
    assert many == "SELECT (now() + %s)::text"
    added = [node for node in ast.walk(source) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add)]
    assert not added, "nothing is added to a time in Python"


def test_events_in_bulk_without_a_time_of_their_own_take_that_of_the_database() -> None:
    source = ast.parse(Path(notifications.__file__).read_text(encoding="utf-8"))
    asked = [ast.unparse(node) for node in ast.walk(source) if isinstance(node, ast.JoinedStr)]
    assert "f'SELECT {clock.EVENT_TIME}::text'" in asked
    assert EVENT_TIME == "coalesce((SELECT simulated_at FROM pgsupervise_clock), now())"


def _constants(tree: ast.Module) -> list[str]:
    return [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def _code(name: str) -> str:
    """Return a statement without its comments."""
    return "\n".join(line for line in load(name).splitlines() if not line.lstrip().startswith("--"))
