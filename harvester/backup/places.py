"""Places of the files that a backup holds: each has a name in the archive and a path here."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from bus.client.node import OUTBOX_FILE
from bus.config import directories, hub_files
from bus.config.settings import Config
from bus.files.backup_record import RECORD_NAME
from bus.files.staged_moves import STAGING_NAME
from hub_app.nodes.join.wheels import MADE_FOLDER

STATE = "state"
TLS = "tls"
AGENT = "agent"
CONFIG = "config/hub.toml"
ASIDE_NAME = "before-restore"

# These stay where they are in a restore: locks, readings on their way, earlier states.
_STAYS = re.compile(
    rf".*\.lock|{re.escape(OUTBOX_FILE)}.*|{ASIDE_NAME}-.*|{re.escape(STAGING_NAME)}"
    rf"|{re.escape(RECORD_NAME)}"
)
# Parts of a database that its own file has in a copy, unfinished files, damaged ones.
_NOT_COPIED = re.compile(r".*(-wal|-shm|-journal|\.partial|\.damaged|\.newer|\.before-update)")


class Place(msgspec.Struct, frozen=True):
    """A folder or a single file of the hub, and its name in the archive."""

    name: str
    path: Path
    is_folder: bool = True


class Places(msgspec.Struct, frozen=True):
    """All places of one hub, in the order in which a restore replaces them, the state last.

    `foreign` are folders within them that belong to no backup, for example a cache.
    """

    state_dir: Path
    every: list[Place]
    foreign: frozenset[Path]

    def of_part(self, name: str) -> Place | None:
        """Return the place that a part of an archive belongs to."""
        for place in self.every:
            if name == place.name or (place.is_folder and name.startswith(f"{place.name}/")):
                return place
        return None

    def is_foreign(self, place: Place, path: Path) -> bool:
        """Whether `path`, found in `place`, is of another place or of no backup."""
        others = (other.path for other in self.every if other.name != place.name)
        return path in self.foreign or path in others


def find(config: Config, file: Path | None, environment: Mapping[str, str]) -> Places:
    """Return the places that a configuration names; `file` is its own."""
    files = hub_files.of(config, environment)
    state = files.state_dir
    found = [Place(CONFIG, file.absolute(), is_folder=False)] if file is not None else []
    found += [
        Place(f"files/{key}", Path(path), is_folder=False)
        for key, path in _named_files(config).items()
        if path and not Path(path).is_relative_to(state)
    ]
    found.append(Place(TLS, files.tls_dir))
    agent = _agent_dir(config, environment)
    if agent != state:
        found.append(Place(AGENT, agent))
    found.append(Place(STATE, state))
    foreign = (
        directories.cache_dir(config, environment),
        directories.runtime_dir(config, environment),
        hub_files.backup_directory(config, files),
        state / "run",
        # Made again of what is installed.
        state / MADE_FOLDER,
    )
    return Places(state, found, frozenset(path for path in foreign if path != state))


def _named_files(config: Config) -> dict[str, str]:
    """Return the files beside the configuration that it names, most of them secrets."""
    return {
        "web.password": config.web.password,
        "notify.addresses_file": config.notify.addresses_file,
        "homeassistant.ca_file": config.homeassistant.ca_file,
        "homeassistant.credentials_file": config.homeassistant.credentials_file,
        "broker.credentials_file": config.broker.credentials_file,
    }


def _agent_dir(config: Config, environment: Mapping[str, str]) -> Path:
    """Return the state directory of the hub's own agent."""
    if not config.storage.state_dir and hub_files.AGENT_SERVICE_DIRECTORY.is_dir():
        return hub_files.AGENT_SERVICE_DIRECTORY / config.cluster.node_id
    return directories.state_dir(config, environment)


def stays(name: str) -> bool:
    """Whether a file or folder of that name is neither backed up nor put aside."""
    return _STAYS.fullmatch(name) is not None


def is_copied(name: str) -> bool:
    """Whether a file of that name belongs into a backup."""
    return not stays(name) and _NOT_COPIED.fullmatch(name) is None


def outbox_locks(config: Config, environment: Mapping[str, str]) -> list[Path]:
    """Return the files that the hub's own agent may have locked while it runs."""
    folders = (
        directories.runtime_dir(config, environment),
        Path(f"/run/harvester-agent-{config.cluster.role}"),
    )
    return [folder / f"{OUTBOX_FILE}.lock" for folder in folders if os.access(folder, os.X_OK)]
