"""Where the hub keeps its accounts and certificates, as every program on its machine finds it."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from bus.config.directories import state_dir
from bus.config.settings import Config

# What its unit has as StateDirectory (deploy/harvester-hub.service).
SERVICE_DIRECTORY = Path("/var/lib/harvester-hub")
ACCOUNTS_NAME = "accounts.json"


class HubFiles(msgspec.Struct, frozen=True):
    """The hub's own folders: `state_dir`, which is closed to others, and `tls_dir`."""

    state_dir: Path
    tls_dir: Path

    @property
    def accounts(self) -> Path:
        return self.state_dir / ACCOUNTS_NAME

    @property
    def broker(self) -> Path:
        """Where the embedded broker keeps sessions and retained messages."""
        return self.state_dir / "broker"


def of(
    config: Config, environment: Mapping[str, str], service: Path = SERVICE_DIRECTORY
) -> HubFiles:
    """Return the hub's files, whichever program asks.

    The hub's service, its agent's and a person's shell are given different directories. So where
    nothing is configured, the directory of the service counts, on a machine that has one.
    """
    if not config.storage.state_dir and service.is_dir():
        state = service / config.cluster.node_id
    else:
        state = state_dir(config, environment)
    return HubFiles(state, Path(config.broker.tls_dir or state / "tls"))
