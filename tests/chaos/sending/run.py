"""`python -m tests.chaos.sending`: a PostgreSQL, a provider, a web server and a supervisor of its own, and an audit."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pgsupervise.django_app.replay.processes import ended_in_order
from tests.chaos.database import Session
from tests.chaos.sending.audit import audit
from tests.chaos.sending.evidence import Evidence, Violation
from tests.chaos.sending.play import Stage, fill, play, tell
from tests.chaos.sending.provider import Provider
from tests.chaos.sending.report import report
from tests.chaos.sending.teller import Teller
from tests.database import django_uses, temporary_server
from tests.lifecycle.supervising import ROOT, supervised
from tests.sendgrid_webhook import Signer

SETTINGS = "tests.chaos.sending.settings"
LIES_REFUSED = {"forged requests answered 403", "requests of another installation answered 204"}
VIOLATIONS_TOLD = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; return 0 when nothing was broken, else 1."""
    given = _parser().parse_args(arguments)
    began = time.monotonic()
    with ended_in_order(), _database(given.dsn) as dsn, tempfile.TemporaryDirectory(prefix="pgsupervise-fire-") as own:
        evidence, postgresql = _play(given, dsn, Path(own))
    violations = [*audit(evidence), *_believed(evidence)]
    seconds = time.monotonic() - began
    if given.report:
        text = report(evidence, violations, seed=given.seed, seconds=seconds, postgresql=postgresql)
        given.report.write_text(text)
    for found in violations[:VIOLATIONS_TOLD]:
        tell(f"  VIOLATION {found.kind}: {found.text}")
    tell(f"{len(evidence.rows)} digests, {evidence.kills} kills, {len(violations)} violations in {seconds:.0f} s")
    return 1 if violations else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.sending", description="Kill senders, and count mail.")
    parser.add_argument("--digests", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=40.0, help="give up after so long")
    parser.add_argument("--every", type=int, nargs=2, default=(40, 160), help="messages between kills, least and most")
    parser.add_argument("--latest", type=float, default=3.0, help="by how many seconds an event is late at most")
    parser.add_argument("--report", type=Path, help="where to write the report")
    parser.add_argument("--dsn", help="a migrated, empty database; without it one is made")
    return parser


def _play(given: argparse.Namespace, dsn: str, folder: Path) -> tuple[Evidence, str]:
    signer = Signer()
    session = Session(dsn, "control")
    recipients = fill(dsn, given.digests)
    with ExitStack() as stack:
        stack.callback(session.close)
        url = stack.enter_context(_web_server(dsn, signer.key))
        teller = Teller(url, signer, given.seed, given.latest)
        provider = stack.enter_context(Provider(given.seed, teller.took, teller.left))
        teller.start()
        stack.callback(teller.stop)
        environment = {"TEST_SENDGRID_HOST": provider.url, "TEST_WEBHOOK_KEY": signer.key, "no_proxy": "127.0.0.1"}
        # Only who is killed is to die: nobody is taken for dead because the machine is busy.
        options = ("--dead-after", "60", "--log-level", "error")
        running = stack.enter_context(supervised(dsn, folder, *options, settings=SETTINGS, environment=environment))
        stage = Stage(
            dsn=dsn,
            session=session,
            provider=provider,
            teller=teller,
            supervised=running,
            seed=given.seed,
            every=tuple(given.every),
            patience=given.minutes * 60,
        )
        return play(stage, recipients), session.demand("SHOW server_version")[0][0]


def _believed(evidence: Evidence) -> list[Violation]:
    lies = {name for name in evidence.counts if name.startswith(("forged", "requests of another"))}
    return [Violation("lie", f"{evidence.counts[name]} {name}") for name in sorted(lies - LIES_REFUSED)]


@contextmanager
def _database(given: str | None) -> Iterator[str]:
    if given:
        yield given
        return
    with temporary_server() as server:
        dsn = server.create_database("pgsupervise_fire")
        with django_uses(dsn):
            yield dsn


@contextmanager
def _web_server(dsn: str, key: str) -> Iterator[str]:
    environment = {**os.environ, "PGSUPERVISE_DSN": dsn, "DJANGO_SETTINGS_MODULE": SETTINGS, "TEST_WEBHOOK_KEY": key}
    command = [sys.executable, "-m", "tests.chaos.sending.webhook_server"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.communicate(timeout=60)
