"""pgsupervise itself: its command with all that it has by default, the exporter and the keeper included."""

import os
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from tests.bench.peers.peer import Peer

ROOT = Path(__file__).parents[3]


class OwnEnvironment:
    """The environment that the benchmark runs in."""

    def prepare(self, cache: Path) -> None:
        """Nothing: it is installed, or nobody could read this."""

    def program(self, name: str) -> str:
        """Return this interpreter."""
        return sys.executable if name == "python" else str(Path(sys.executable).with_name(name))

    def variables(self) -> Mapping[str, str]:
        """Return the path that leads to this checkout, and to what inherited settings lead to."""
        inherited = os.environ.get("PYTHONPATH", "")
        here = str(Path(__file__).parent / "inside")
        return {"PYTHONPATH": os.pathsep.join([f"{here}/common", str(ROOT), *filter(None, [inherited])])}

    def version(self) -> str:
        """Return the installed version."""
        return metadata.version("pgsupervise")


PEER = Peer(
    name="pgsupervise",
    environment=OwnEnvironment(),
    folder="pgsupervise",
    workers=(
        (
            *("python", "-m", "pgsupervise.supervisor", "--settings", "tests.bench.project.settings"),
            *("--partitions", "2", "--processes", "2", "--metrics-port", "0"),
        ),
    ),
)
