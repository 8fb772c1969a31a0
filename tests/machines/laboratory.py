"""Laboratory: machines of one Debian on one network."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.machines import cache, cgroups, commands, needs
from tests.machines.cache import BOOKWORM, Suite
from tests.machines.errors import LaboratoryError
from tests.machines.machine import WHEELS, Machine
from tests.machines.network import PREFIX, network

# An interface's name has 15 letters: "vb-", the laboratory's five, "-" and this.
_LONGEST_NAME = 6
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

_NETWORK_FILE = f"""[Match]
Name=host0
[Network]
Address={{address}}/{PREFIX}
LinkLocalAddressing=no
IPv6AcceptRA=no
"""
# Every pip of a machine, also that of pipx, finds its packages here and nowhere else.
_PIP_FILE = f"""[global]
no-index = true
find-links = {WHEELS}
disable-pip-version-check = true
"""


class Laboratory:
    """Maker of machines. Each is a fresh copy of a cached Debian."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder

    @contextlib.contextmanager
    def machine(
        self, name: str, address: str, *, on: bool = True, suite: Suite = BOOKWORM
    ) -> Iterator[Machine]:
        """Yield a new machine, booted unless `on` is false, until the context ends."""
        if len(name) > _LONGEST_NAME:
            raise LaboratoryError(
                f"found the name {name!r}, expected at most {_LONGEST_NAME} letters"
            )
        root = self.folder / name
        commands.run("cp", "-a", "--reflink=auto", str(cache.debian_root(suite)), str(root))
        _prepare(root, name, address)
        machine = Machine(self.name, name, address, root, self._wheels(suite))
        try:
            if on:
                machine.power_on()
            yield machine
        finally:
            machine.close()
            shutil.rmtree(root, ignore_errors=True)

    def _wheels(self, suite: Suite) -> Path:
        """Return a folder with our wheel and all that it needs."""
        wheels = self.folder / f"wheels-{suite.name}"
        if not wheels.is_dir():
            shutil.copytree(cache.wheelhouse(suite), wheels, copy_function=os.link)
            shutil.copy(cache.newest_wheel(), wheels)
        return wheels


@contextlib.contextmanager
def laboratory() -> Iterator[Laboratory]:
    """Yield a laboratory with its network. Raises LaboratoryError where there can be none."""
    needs.check()
    name = _short(os.getpid())
    with tempfile.TemporaryDirectory(prefix="machines-", dir=cache.directory()) as text:
        folder = Path(text)
        folder.chmod(0o755)
        with network(name):
            try:
                yield Laboratory(name, folder)
            finally:
                cgroups.remove(cgroups.make(name))


def _prepare(root: Path, name: str, address: str) -> None:
    """Give a copied root its identity."""
    (root / "etc/hostname").write_text(f"{name}\n")
    (root / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {name}\n")
    # Empty: systemd makes one at the first boot (machine-id(5)).
    (root / "etc/machine-id").write_text("")
    (root / "etc/pip.conf").write_text(_PIP_FILE)
    (root / "etc/systemd/network/10-lan.network").write_text(_NETWORK_FILE.format(address=address))
    (root / "var/log/journal").mkdir(parents=True, exist_ok=True)
    commands.run("systemctl", f"--root={root}", "enable", "systemd-networkd")
    # It would wait for a cable that is out.
    commands.run("systemctl", f"--root={root}", "disable", "systemd-networkd-wait-online")


def _short(number: int) -> str:
    """Return a process id to the base of 36: at most five letters (Linux allows 2^22)."""
    if number < len(_DIGITS):
        return _DIGITS[number]
    return _short(number // len(_DIGITS)) + _DIGITS[number % len(_DIGITS)]
