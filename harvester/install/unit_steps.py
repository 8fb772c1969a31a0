"""Steps of systemd: the service's user and its groups, and the services themselves."""

import grp
import pwd

from harvester.install.step import SystemStep

USER = "harvester"
SYSUSERS_FILE = "/etc/sysusers.d/harvester.conf"


class ServiceUser(SystemStep, frozen=True, kw_only=True):
    """The user of the services and the groups of the hardware, by systemd-sysusers(8)."""

    groups: tuple[str, ...]
    is_data: bool = True

    def describe(self) -> str:
        return f"user {USER}; groups {', '.join(self.groups)}"

    def is_done(self) -> bool:
        try:
            groups = [grp.getgrnam(name) for name in self.groups]
        except KeyError:
            return False
        return self.is_there() and all(USER in group.gr_mem for group in groups)

    def apply(self) -> None:
        self.system.run(("systemd-sysusers", str(self.system.path(SYSUSERS_FILE))))

    def is_there(self) -> bool:
        try:
            pwd.getpwnam(USER)
        except KeyError:
            return False
        return True

    def undo(self) -> bool:
        """Remove the user; the groups of the hardware are the system's."""
        return self.system.asks("userdel", USER)


class Services(SystemStep, frozen=True, kw_only=True):
    """Services that run, and start with the machine. Started again after a change."""

    units: tuple[str, ...]
    follows_changes: bool = True

    def describe(self) -> str:
        return f"start now and at every boot: {', '.join(self.units)}"

    def is_done(self) -> bool:
        return all(
            self.system.asks("systemctl", "--quiet", verb, unit)
            for unit in self.units
            for verb in ("is-enabled", "is-active")
        )

    def apply(self) -> None:
        self.system.run(("systemctl", "daemon-reload"))
        self.system.run(("systemctl", "enable", *self.units))
        self.system.run(("systemctl", "restart", *self.units))

    def is_there(self) -> bool:
        return bool(self._known())

    def undo(self) -> bool:
        were_there = self._known()
        for unit in were_there:
            self.system.asks("systemctl", "disable", "--now", unit)
        return bool(were_there)

    def _known(self) -> list[str]:
        return [unit for unit in self.units if self._is_known(unit)]

    def _is_known(self, unit: str) -> bool:
        return self.system.asks("systemctl", "cat", unit) and any(
            self.system.asks("systemctl", "--quiet", verb, unit)
            for verb in ("is-enabled", "is-active")
        )


class EnabledUnit(SystemStep, frozen=True, kw_only=True):
    """A unit that starts with the machine, and ends by itself where there is nothing to do."""

    unit: str

    def describe(self) -> str:
        return f"start at every boot: {self.unit}"

    def is_done(self) -> bool:
        return self.system.asks("systemctl", "--quiet", "is-enabled", self.unit)

    def apply(self) -> None:
        self.system.run(("systemctl", "daemon-reload"))
        self.system.run(("systemctl", "enable", self.unit))

    def is_there(self) -> bool:
        return self.system.asks("systemctl", "cat", self.unit)

    def undo(self) -> bool:
        return self.system.asks("systemctl", "disable", "--now", self.unit)


class Reload(SystemStep, frozen=True, kw_only=True):
    """Lets systemd forget units whose files are gone."""

    def describe(self) -> str:
        return "list of units"

    def is_done(self) -> bool:
        return True

    def apply(self) -> None:
        """Nothing: the services' step does it."""

    def is_there(self) -> bool:
        """Yes: systemd always has a list of units."""
        return True

    def undo(self) -> bool:
        return self.system.asks("systemctl", "daemon-reload")
