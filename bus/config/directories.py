"""Directories of a node for caches, state and runtime files.

The configuration comes first, then systemd's directories for the service, then the user's own.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from bus.config.settings import Config

Environment = Mapping[str, str]


def cache_dir(config: Config, environment: Environment) -> Path:
    """Return the directory for compiled components."""
    if config.storage.cache_dir:
        return Path(config.storage.cache_dir)
    return _given(environment, "CACHE_DIRECTORY", "XDG_CACHE_HOME", ".cache") / "components"


def state_dir(config: Config, environment: Environment) -> Path:
    """Return this node's directory for plugin state."""
    if config.storage.state_dir:
        return Path(config.storage.state_dir)
    base = _given(environment, "STATE_DIRECTORY", "XDG_STATE_HOME", ".local/state")
    return base / config.cluster.node_id


def runtime_dir(config: Config, environment: Environment) -> Path:
    """Return this node's directory for files that change every cycle: in RAM under systemd.

    Elsewhere it is below the state directory. It must outlive the process, if not the machine.
    """
    if config.storage.runtime_dir:
        return Path(config.storage.runtime_dir)
    if environment.get("RUNTIME_DIRECTORY"):
        return Path(environment["RUNTIME_DIRECTORY"].split(":")[0])
    state = state_dir(config, environment)
    if environment.get("XDG_RUNTIME_DIR"):
        # Two nodes with the same name and separate state directories need separate ones here, too.
        mark = hashlib.sha256(str(state).encode()).hexdigest()[:8]
        name = f"{config.cluster.node_id}-{mark}"
        return Path(environment["XDG_RUNTIME_DIR"]) / "harvester" / name
    return state / "run"


def _given(environment: Environment, service: str, user: str, in_home: str) -> Path:
    # systemd separates several directories with colons (systemd.exec, StateDirectory=).
    if environment.get(service):
        return Path(environment[service].split(":")[0])
    if environment.get(user):
        return Path(environment[user]) / "harvester"
    return Path(environment.get("HOME", "/")) / in_home / "harvester"
