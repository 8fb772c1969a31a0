"""Services of this machine as systemd tells them: which there are, how they are, start and stop."""

import logging
import time
from collections.abc import Callable, Iterable

from bus.errors import UnavailableError
from bus.files import whole_file
from bus.install.vital_signs import parse
from harvester.install.system import System
from harvester.install.tables import AGENT_UNIT, HUB_UNIT, PIZERO_UNIT, UNITS
from harvester.update.environments import Environments
from harvester.update.judgement import UnitNow

logger = logging.getLogger(__name__)

SERVICES = (
    HUB_UNIT,
    AGENT_UNIT.replace("@.", "@hub."),
    AGENT_UNIT.replace("@.", "@spoke."),
    PIZERO_UNIT,
)
_TRIES, _RETRY_S = 4, 5.0
_PROPERTIES = ("ActiveState", "NRestarts", "StatusText")
_SHIPPED = "lib/python3*/site-packages/bus/product/deploy"


class Services:
    """The enabled services of this machine. Its methods raise UnavailableError."""

    def __init__(self, system: System, wait: Callable[[float], None] = time.sleep) -> None:
        self._system = system
        self._wait = wait

    @property
    def names(self) -> list[str]:
        """The services that start with the machine."""
        return [
            name
            for name in SERVICES
            if self._system.asks("systemctl", "--quiet", "is-enabled", name)
        ]

    def observe(self, names: Iterable[str]) -> dict[str, UnitNow]:
        return {name: self._observe(name) for name in names}

    def restart(self, names: list[str]) -> None:
        """Start the services anew, without waiting until they are up."""
        self.reload()
        self._system.asks("systemctl", "reset-failed", *names)
        self._ask_systemd("--no-block", "restart", *names)

    def reload(self) -> None:
        """Let systemd read its units again."""
        self._ask_systemd("daemon-reload")

    def stop(self, names: list[str]) -> None:
        self._ask_systemd("stop", *names)

    def bring_units(self, environments: Environments, name: str, pattern: str) -> list[str]:
        """Bring installed units that match up to date with an environment's; return their names."""
        changed = []
        for folder in environments.folder(name).glob(_SHIPPED):
            for shipped in sorted(folder.glob(pattern)):
                installed = self._system.path(f"{UNITS}/{shipped.name}")
                content = shipped.read_bytes()
                if installed.is_file() and installed.read_bytes() != content:
                    whole_file.replace(installed, content, mode=0o644)
                    changed.append(shipped.name)
        return changed

    def _ask_systemd(self, *words: str) -> str:
        """Run systemctl, again where it fails: at boot, systemd may not answer for a moment."""
        for _ in range(_TRIES - 1):
            try:
                return self._system.run(("systemctl", *words))
            except UnavailableError as e:
                logger.warning("tried again: %s", e)
                self._wait(_RETRY_S)
        return self._system.run(("systemctl", *words))

    def _observe(self, name: str) -> UnitNow:
        words = ("show", name, f"--property={','.join(_PROPERTIES)}")
        lines = self._ask_systemd(*words).splitlines()
        found = dict(line.split("=", 1) for line in lines if "=" in line)
        state, restarts = found.get("ActiveState", ""), found.get("NRestarts", "0")
        return UnitNow(
            is_active=state == "active",
            is_failed=state == "failed",
            restarts=int(restarts) if restarts.isdigit() else 0,
            vital=parse(found.get("StatusText", "")),
        )
