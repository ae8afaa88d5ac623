"""A folder of node modules of a peer's own, made once and kept."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.peers.installing import install, is_made, stamp
from tests.bench.section import AbsentError


@dataclass(slots=True)
class NodeEnvironment:
    """A folder of node modules."""

    name: str
    package: str
    pinned: str
    _folder: Path = field(default=Path(), init=False)

    def prepare(self, cache: Path) -> None:
        """Make it, unless it was made with the same version."""
        self._folder = cache / "environments" / self.name
        wanted = (f"{self.package}@{self.pinned}",)
        if is_made(self._folder, wanted):
            return
        if shutil.which("node") is None or shutil.which("npm") is None:
            raise AbsentError("it needs node and npm")
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        (self._folder / "package.json").write_text(json.dumps({"private": True}))
        install(
            ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error", *wanted],
            self._folder,
        )
        stamp(self._folder, wanted)

    def program(self, name: str) -> str:
        """Return node itself, or a program of a module."""
        return shutil.which("node") or "node" if name == "node" else str(self._folder / "node_modules" / ".bin" / name)

    def variables(self) -> Mapping[str, str]:
        """Return where `require` looks."""
        return {"NODE_PATH": str(self._folder / "node_modules")}

    def version(self) -> str:
        """Return the pinned version."""
        return self.pinned
