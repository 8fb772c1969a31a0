"""Request for an update: a file by which an agent asks root's unit to look at the hub.

Only that it is there counts. The agent cannot say what is to be installed, or from where.
"""

from pathlib import Path

from bus.errors import UnavailableError

FILE_NAME = "update-wanted"
# Root's: the hub that updates come from. Without it, root's unit believes no hub.
TRUST_FILE = "/etc/harvester/update.toml"
# Below the runtime directories of the services, which harvester-update.path watches.
REQUEST_PATTERN = f"run/harvester-*/{FILE_NAME}"


def make(runtime_dir: Path) -> None:
    """Ask for an update. Raises UnavailableError."""
    try:
        (runtime_dir / FILE_NAME).touch()
    except OSError as e:
        raise UnavailableError(f"{runtime_dir}: {e.strerror}; cannot ask for an update") from e
