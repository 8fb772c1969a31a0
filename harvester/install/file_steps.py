"""Steps that write files and folders."""

import os
import shutil
import stat
from pathlib import Path

from bus.errors import MisconfiguredError
from bus.files import private_file, whole_file
from harvester.install.step import SystemStep


class Folder(SystemStep, frozen=True, kw_only=True):
    """A folder with its mode and owner."""

    path: str
    mode: int = 0o755
    user: str = ""

    def describe(self) -> str:
        return f"folder {self.path}, mode {self.mode:04o}{of(self.user)}"

    def is_done(self) -> bool:
        path = self.system.path(self.path)
        return path.is_dir() and (not self.user or stat.S_IMODE(path.stat().st_mode) == self.mode)

    def apply(self) -> None:
        path = self.system.path(self.path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(self.mode)
            owner = self.system.owner(self.user)
            if owner is not None:
                os.chown(path, *owner)
        except OSError as e:
            raise MisconfiguredError(f"{path}: {e.strerror}") from e

    def is_there(self) -> bool:
        return self.system.path(self.path).is_dir()

    def undo(self) -> bool:
        was_there = self.is_there()
        shutil.rmtree(self.system.path(self.path), ignore_errors=True)
        return was_there


class Remains(SystemStep, frozen=True, kw_only=True):
    """Folders and files that systemd makes for a service; only uninstalling knows of them."""

    what: str
    patterns: tuple[str, ...]

    def describe(self) -> str:
        return f"{self.what}: {', '.join('/' + pattern for pattern in self.patterns)}"

    def is_done(self) -> bool:
        return True

    def apply(self) -> None:
        """Nothing: the services make them."""

    def is_there(self) -> bool:
        return bool(self._found())

    def undo(self) -> bool:
        found = self._found()
        for path in found:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        return bool(found)

    def _found(self) -> list[Path]:
        return [path for pattern in self.patterns for path in self.system.root.glob(pattern)]


class WrittenFile(SystemStep, frozen=True, kw_only=True):
    """A file with that content. One that `is_kept` is left as it is where it exists."""

    path: str
    content: bytes
    what: str
    mode: int = 0o644
    user: str = ""
    is_kept: bool = False

    def describe(self) -> str:
        return f"{self.what} {self.path}"

    def is_done(self) -> bool:
        path = self.system.path(self.path)
        if self.is_kept:
            return path.exists()
        return path.is_file() and path.read_bytes() == self.content

    def apply(self) -> None:
        path = self.system.path(self.path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            owner = self.system.owner(self.user)
            whole_file.replace(path, self.content, mode=self.mode, owner=owner)
        except OSError as e:
            raise MisconfiguredError(f"{path}: cannot be written: {e.strerror}") from e

    def is_there(self) -> bool:
        return self.system.path(self.path).exists()

    def undo(self) -> bool:
        was_there = self.is_there()
        self.system.path(self.path).unlink(missing_ok=True)
        return was_there


class Link(SystemStep, frozen=True, kw_only=True):
    """A symbolic link to a program, for the shells of people."""

    path: str
    target: str

    def describe(self) -> str:
        return f"command {self.path}"

    def is_done(self) -> bool:
        path = self.system.path(self.path)
        return path.is_symlink() and str(path.readlink()) == self.target

    def apply(self) -> None:
        path = self.system.path(self.path)
        if path.exists() and not path.is_symlink():
            raise MisconfiguredError(f"{path}: found a file, expected none or a link of ours")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(self.target)

    def is_there(self) -> bool:
        return self.is_done()

    def undo(self) -> bool:
        if not self.is_there():
            return False
        self.system.path(self.path).unlink()
        return True


def of(user: str) -> str:
    """Return the owner as the end of a phrase."""
    return f", of {user}" if user else ""


def secret_mode() -> int:
    """Return the mode of a file that only its owner may read."""
    return private_file.MODE
