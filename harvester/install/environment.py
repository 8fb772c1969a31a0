"""Step of the program's environment: a folder of root's, which the services can read.

`pip` and `pipx` install into a home folder, which is closed to the services (ProtectHome=). The
program copies itself, with every library in its version, so no index is asked. Each environment
has a folder of its own below `environments`; `.venv` is a link to the one in use, and the link is
replaced at once: after a power cut it is the old one or the new one.
"""

import contextlib
import os
import shutil
import sys
from importlib.metadata import Distribution
from pathlib import Path

from bus.errors import MisconfiguredError
from bus.install import update_record
from bus.install.version import VERSION
from harvester.install import distributions
from harvester.install.step import SystemStep

HOME = "/opt/harvester"
LINK = f"{HOME}/.venv"
ENVIRONMENTS = f"{HOME}/environments"
# The environment that updates and judges others: one that was kept, never the one on trial.
UPDATER_LINK = f"{HOME}/.updater"
# Written last: an environment without it is not complete.
IDENTITY_FILE = "identity"
# Folders that ProtectHome= closes (systemd.exec).
_CLOSED = ("/home", "/root", "/run/user")


class Environment(SystemStep, frozen=True, kw_only=True):
    """The environment of the program that runs this step."""

    def describe(self) -> str:
        return f"environment {LINK}, version {VERSION}"

    def is_done(self) -> bool:
        link = self.system.path(LINK)
        if _is_running_from(link):
            return True
        wanted = distributions.identity(distributions.of_program())
        return read_identity(link) == wanted

    def apply(self) -> None:
        found = distributions.of_program()
        identity = distributions.identity(found)
        target = self.system.path(f"{ENVIRONMENTS}/{VERSION}-{identity}")
        if read_identity(target) != identity:
            self._make(target, found, identity)
        switch_to(target, self.system.path(LINK))

    def _make(self, target: Path, found: list[Distribution], identity: str) -> None:
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        python = base_python()
        self.system.run((str(python), "-m", "venv", str(target)))
        (site_packages,) = target.glob("lib/python3*/site-packages")
        distributions.copy(found, site_packages)
        self.system.run(
            (str(target / "bin/python"), "-m", "compileall", "-qq", str(target / "lib"))
        )
        # A power cut must not leave a complete-looking environment with empty files.
        os.sync()
        (target / IDENTITY_FILE).write_text(f"{identity}\n")
        os.sync()

    def is_there(self) -> bool:
        link = self.system.path(LINK)
        return link.is_symlink() or link.is_dir()

    def undo(self) -> bool:
        was_there = self.is_there()
        link = self.system.path(LINK)
        if link.is_symlink():
            link.unlink()
        else:
            shutil.rmtree(link, ignore_errors=True)
        shutil.rmtree(self.system.path(ENVIRONMENTS), ignore_errors=True)
        with contextlib.suppress(OSError):
            # It has the plugins of the machine's owner, where there are any.
            self.system.path(HOME).rmdir()
        return was_there


class UpdaterLink(SystemStep, frozen=True, kw_only=True):
    """The link to the environment that does updates. During one, it stays as it is."""

    def describe(self) -> str:
        return f"environment of updates {UPDATER_LINK}"

    def is_done(self) -> bool:
        link, used = self.system.path(UPDATER_LINK), self.system.path(LINK)
        if not link.exists():
            return False
        record = update_record.load(self.system.path(update_record.FILE))
        return not record.is_ended or link.resolve() == used.resolve()

    def apply(self) -> None:
        switch_to(self.system.path(LINK).resolve(), self.system.path(UPDATER_LINK))

    def is_there(self) -> bool:
        return self.system.path(UPDATER_LINK).is_symlink()

    def undo(self) -> bool:
        was_there = self.is_there()
        self.system.path(UPDATER_LINK).unlink(missing_ok=True)
        return was_there


def read_identity(environment: Path) -> str:
    """Return the identity of a complete environment, empty where there is none."""
    try:
        return (environment / IDENTITY_FILE).read_text().strip()
    except OSError:
        return ""


def switch_to(target: Path, link: Path) -> None:
    """Let `link` be a link to `target`, at once; a folder that stands there is moved aside."""
    partial = link.with_name(f"{link.name}.partial")
    partial.unlink(missing_ok=True)
    partial.symlink_to(target)
    if link.is_dir() and not link.is_symlink():
        link.rename(link.with_name(f"{link.name}.before"))
    partial.replace(link)
    os.sync()


def base_python() -> Path:
    """Return the Python that environments are made with.

    Raises MisconfiguredError where it is in a folder that is closed to the services.
    """
    python = Path(
        os.path.realpath(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")
    )
    if any(python.is_relative_to(closed) for closed in _CLOSED):
        raise MisconfiguredError(
            f"found Python in {python.parent}, which is closed to services; expected one of the "
            "system's. Install HARVESTER with it: pipx install --python /usr/bin/python3 WHEEL"
        )
    return python


def _is_running_from(link: Path) -> bool:
    return link.exists() and Path(sys.prefix).resolve() == link.resolve()
