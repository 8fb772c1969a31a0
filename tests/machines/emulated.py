"""Raspberry Pi's processor, aarch64, by qemu: a Debian 12 whose programs run one by one.

No systemd runs in it; the network is this computer's.
"""

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.machines import cache, commands
from tests.machines.cache import ARM64
from tests.machines.errors import LaboratoryError
from tests.machines.machine import WHEELS

# The kernel starts qemu for a program of that processor (binfmt_misc).
_HANDLER = Path("/proc/sys/fs/binfmt_misc/qemu-aarch64")
_RUN_S = 1800.0
_END_S = 300.0


class Emulated:
    """The machine. `root` is its disk, `home` the folder of root there."""

    def __init__(self, root: Path, wheels: Path) -> None:
        self.root = root
        self.home = root / "root"
        self._wheels = wheels

    def run(self, command: str, timeout_s: float = _RUN_S) -> str:
        """Run a shell command and return its output. Raises LaboratoryError."""
        return commands.run(*self._words(command), timeout_s=timeout_s)

    @contextlib.contextmanager
    def background(self, command: str, log: Path) -> Iterator[None]:
        """Run a shell command until the context ends."""
        with log.open("w") as file:
            process = subprocess.Popen(
                self._words(f"{command} & read end; kill $!; wait $!"),
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        try:
            yield
        finally:
            try:
                # The shell reads the end of its input.
                process.communicate(timeout=_END_S)
            finally:
                process.kill()
                process.wait()

    def _words(self, command: str) -> list[str]:
        return [
            "systemd-nspawn",
            "--quiet",
            f"--directory={self.root}",
            "--register=no",
            "--keep-unit",
            "--as-pid2",
            "--pipe",
            f"--bind-ro={self._wheels}:{WHEELS}",
            "sh",
            "-c",
            command,
        ]


@contextlib.contextmanager
def emulated() -> Iterator[Emulated]:
    """Yield a fresh copy of the cached root. Raises LaboratoryError where there is no emulator."""
    if not _HANDLER.exists():
        raise LaboratoryError(
            f"found no {_HANDLER}; run: apt-get install qemu-user-static binfmt-support; in a "
            "container also: mount -t binfmt_misc none /proc/sys/fs/binfmt_misc && "
            "update-binfmts --import qemu-aarch64"
        )
    debian, dependencies = cache.debian_root(ARM64), cache.wheelhouse(ARM64)
    with tempfile.TemporaryDirectory(prefix="machines-", dir=cache.directory()) as text:
        root, wheels = Path(text) / "arm64", Path(text) / "wheels"
        commands.run("cp", "-a", "--reflink=auto", str(debian), str(root))
        shutil.copytree(dependencies, wheels)
        shutil.copy(cache.newest_wheel(), wheels)
        yield Emulated(root, wheels)
