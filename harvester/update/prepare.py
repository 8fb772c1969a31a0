"""Preparation of an update: another environment, checked before anything is changed."""

import json
from pathlib import Path

from bus.errors import HarvesterError, MisconfiguredError, UnavailableError
from bus.install.update_record import PREPARED, SavedDatabase, UpdateRecord
from bus.install.version import VERSION
from harvester.install.system import System
from harvester.install.tables import CONFIGURATIONS
from harvester.update import databases
from harvester.update.runner import Runner

# The configuration of each service, and the program that checks it.
_CHECKS = {
    "harvester-hub.service": ("hub-app", "--config", f"{CONFIGURATIONS}/hub.toml"),
    "harvester-agent@hub.service": (
        *("node-agent", "--role", "hub"),
        *("--config", f"{CONFIGURATIONS}/hub.toml"),
    ),
    "harvester-agent@spoke.service": (
        *("node-agent", "--role", "spoke"),
        *("--config", f"{CONFIGURATIONS}/spoke.toml"),
    ),
    "harvester-pizero.service": ("pizero-native", "--config", f"{CONFIGURATIONS}/pizero.toml"),
}


def checked(system: System, runner: Runner, name: str) -> UpdateRecord:
    """Return the record with which the update to an environment begins.

    Raises MisconfiguredError where the other version cannot use this machine's configuration or
    its databases.
    """
    folder, services = runner.environments.folder(name), runner.services.names
    if not services:
        raise MisconfiguredError(
            "found no HARVESTER service that starts with this machine; run `harvester install`"
        )
    for service in services:
        _check(system, folder, service)
    return UpdateRecord(
        phase=PREPARED,
        old=runner.environments.in_use,
        new=name,
        version=VERSION,
        target=version_of(system, folder),
        databases=databases_to_save(system, folder),
        before=runner.before(services),
    )


def databases_to_save(system: System, folder: Path) -> list[SavedDatabase]:
    """Return the databases whose tables an environment's version changes."""
    versions = _schemas(system, folder)
    return databases.changed_by(databases.find(system, versions), versions)


def version_of(system: System, folder: Path) -> str:
    """Return the version of HARVESTER in an environment. Raises UnavailableError."""
    code = "from bus.install.version import VERSION; print(VERSION)"
    return system.run((str(folder / "bin/python"), "-I", "-c", code)).strip()


def _check(system: System, folder: Path, service: str) -> None:
    program, *words = _CHECKS[service]
    try:
        system.run((str(folder / "bin" / program), *words, "--check"))
    except UnavailableError as e:
        raise MisconfiguredError(f"the other version refuses the configuration: {e}") from e


def _schemas(system: System, folder: Path) -> dict[str, int]:
    """Return what the other version says; this also shows that its own updates would start."""
    try:
        text = system.run((str(folder / "bin/harvester"), "update", "--schemas"))
        return {str(name): int(version) for name, version in json.loads(text).items()}
    except (HarvesterError, ValueError, AttributeError, TypeError) as e:
        raise UnavailableError(f"the other version does not know its databases: {e}") from e
