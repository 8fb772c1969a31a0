"""Installation of Home Assistant into environments of its own, without what only hardware needs.

`python -m tests.home_assistant.install` prints the versions that are there afterwards.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tests.support import PROJECT

_FOLDER = PROJECT / ".harvester" / "home-assistant"
_REQUIREMENTS = Path(__file__).parent / "requirements.py"


class Release(msgspec.Struct, frozen=True):
    """A version of Home Assistant, and the Python that it needs."""

    version: str
    python: str

    @property
    def interpreter(self) -> Path:
        """The interpreter of its environment, which has every module."""
        return _FOLDER / self.version / "bin" / "python"

    @property
    def is_installed(self) -> bool:
        return (_FOLDER / self.version / "installed").is_file()


RELEASES = (Release("2024.3.3", "python3.11"), Release("2025.4.4", "python3.13"))


def install(release: Release, python: str) -> None:
    """Make the environment of a release."""
    folder = _FOLDER / release.version
    shutil.rmtree(folder, ignore_errors=True)
    _run(python, "-m", "venv", str(folder))
    pip = (str(release.interpreter), "-m", "pip", "install", "--quiet", "--no-warn-conflicts")
    _run(*pip, "--no-deps", f"homeassistant=={release.version}")
    listed = _run(str(release.interpreter), str(_REQUIREMENTS))
    (folder / "requirements.txt").write_text(listed)
    _run(*pip, "--requirement", str(folder / "requirements.txt"))
    (folder / "installed").touch()


def _pythons(name: str) -> Iterator[str]:
    """Yield where an interpreter may be: on the path, or one of pyenv's."""
    if found := shutil.which(name):
        yield found
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    yield from map(str, sorted(versions.glob(f"{name.removeprefix('python')}*/bin/{name}")))


def _works(python: str) -> bool:
    """Whether an interpreter runs: pyenv has a command for those that are switched off, too."""
    try:
        return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _run(*command: str) -> str:
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def main() -> None:
    for release in RELEASES:
        python = next(filter(_works, _pythons(release.python)), None)
        if not release.is_installed and python is not None:
            print(f"installing Home Assistant {release.version}", flush=True)  # noqa: T201 - its purpose
            install(release, python)
        told = "is installed" if release.is_installed else f"needs {release.python}, not found"
        print(f"Home Assistant {release.version} {told}", flush=True)  # noqa: T201 - its purpose
    if not any(release.is_installed for release in RELEASES):
        sys.exit(1)


if __name__ == "__main__":
    main()
