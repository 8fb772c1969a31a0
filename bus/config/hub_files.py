"""Paths of the hub's accounts, certificates, broker store and backups, for every program."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from bus.config.directories import state_dir
from bus.config.settings import Config

# StateDirectory of the hub's unit (deploy/harvester-hub.service).
SERVICE_DIRECTORY = Path("/var/lib/harvester-hub")
# Those of the unit of the hub's own agent and of the unit of nightly backups.
AGENT_SERVICE_DIRECTORY = Path("/var/lib/harvester-agent")
BACKUP_SERVICE_DIRECTORY = Path("/var/lib/harvester-backup")
ACCOUNTS_NAME = "accounts.json"
# The state directory of a worker, below that of all of them.
WORKER_PREFIX = "worker-"
# The pair of keys by which the hub signs bundles.
BUNDLE_KEY_NAME = "bundle-key.pem"
BUNDLE_PUBLIC_NAME = "bundle-key.pub"


class HubFiles(msgspec.Struct, frozen=True):
    """Folders of the hub: `state_dir`, readable by its owner alone, and `tls_dir`.

    Workers have a `state_dir` each, below the `login_dir` of all of them on this machine.
    """

    state_dir: Path
    tls_dir: Path
    login_dir: Path

    @property
    def accounts(self) -> Path:
        return self.login_dir / ACCOUNTS_NAME

    @property
    def broker(self) -> Path:
        """The folder of the embedded broker's sessions and retained messages."""
        return self.state_dir / "broker"

    @property
    def hub(self) -> Path:
        """Locked while the hub runs or is restored; see `bus.files.database.lock`."""
        return self.state_dir / "hub"

    @property
    def workers(self) -> Path:
        """Locked by all workers together; a hub with all nodes and a restore lock it alone."""
        return self.login_dir / "hub"


def of(
    config: Config, environment: Mapping[str, str], service: Path = SERVICE_DIRECTORY
) -> HubFiles:
    """Return the hub's files, the same for every program on the machine.

    systemd gives different directories to the hub's service, to its agent and to a person's shell.
    Where nothing is configured, the directory of the hub's service is used, if it exists.
    """
    if not config.storage.state_dir and service.is_dir():
        state = service / config.cluster.node_id
    else:
        state = state_dir(config, environment)
    worker = config.broker.worker
    own = state if worker is None else state / f"{WORKER_PREFIX}{worker.index}"
    return HubFiles(own, Path(config.broker.tls_dir or state / "tls"), state)


def backup_directory(
    config: Config, files: HubFiles, service: Path = BACKUP_SERVICE_DIRECTORY
) -> Path:
    """Return the folder of nightly backups."""
    if config.backup.directory:
        return Path(config.backup.directory)
    if service.is_dir():
        return service
    return files.state_dir.with_name(f"{files.state_dir.name}-backups")
