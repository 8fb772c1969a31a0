"""A Raspberry Pi made of files below a temporary folder, and a user who may not be root."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from bus.config.settings import Config
from harvester.doctor.machine import Machine
from node_agent.hal.errors import HardwareNotInstalledError

GROUPS = "root:x:0:\ni2c:x:998:\nspi:x:999:\ngpio:x:997:pi\ndialout:x:20:\n"
FILES = {
    "/dev/i2c-1": "",
    "/dev/spidev0.0": "",
    "/dev/serial0": "",
    "/dev/gpiomem": "",
    "/dev/gpiochip0": "",
    "/dev/mem": "",
    "/dev/vcio": "",
    "/sys/module/i2c_dev/refcnt": "1\n",
    "/proc/modules": "spidev 28672 0 - Live 0x0\n",
    "/proc/cmdline": "console=tty1 root=PARTUUID=1 rootwait\n",
    "/etc/group": GROUPS,
    "/sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids\n",
}


class FakePi:
    """Everything that a node may need is there, until a test takes it away."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.groups = {"harvester", "i2c", "spi", "gpio", "dialout"}
        self.closed: set[str] = set()
        self.libraries: dict[str, Exception] = {}
        for name, text in FILES.items():
            self.put(name, text)

    def put(self, name: str, text: str) -> None:
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def take(self, *names: str) -> None:
        for name in names:
            path = self.root / name.lstrip("/")
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def lacks(self, library: str) -> None:
        error = HardwareNotInstalledError(f"the library {library} is missing")
        error.__cause__ = ModuleNotFoundError(library)
        self.libraries[library] = error

    def machine(self, **more: Any) -> Machine:
        keys: dict[str, Any] = {
            "root": self.root,
            "user": "harvester",
            "uid": 1001,
            "groups": frozenset(self.groups),
            "may_use": self._may_use,
            "load": self._load,
            "environment": {},
            "programs": Path("/opt/harvester/.venv/bin"),
            "sudo": "sudo ",
        }
        return Machine(**keys | more)

    def _may_use(self, path: Path) -> bool:
        return path not in {self.root / name.lstrip("/") for name in self.closed}

    def _load(self, library: str) -> object:
        if library in self.libraries:
            raise self.libraries[library]
        return library


def config(**tables: Any) -> Config:
    return msgspec.convert({"broker": {"url": "mqtt://127.0.0.1"}} | tables, Config)


def lines(findings: Sequence[msgspec.Struct]) -> list[tuple[str, str]]:
    """Return how each line begins: its state and what it is about."""
    return [(str(getattr(f, "state", "")), str(getattr(f, "what", ""))) for f in findings]
