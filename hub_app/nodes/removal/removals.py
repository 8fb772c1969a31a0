"""Removals file: nodes and sensors that were removed, and renames that are still to be made.

The command line and the page write it, the running hub follows it and carries it out. So what was
removed stays removed, also where the broker's store is restored or the hub was off. A node stays
on the list until it is enrolled again.
"""

from collections.abc import Callable, Container, Sequence
from pathlib import Path

import msgspec

from broker.auth import accounts
from bus.clock import now_ms
from bus.contract.topics import NAME_RULE, is_name
from bus.errors import MisconfiguredError
from bus.files import private_json
from hub_app.history.query import known_names

FILE_NAME = "removals.json"
# The list is small; the oldest sensors are forgotten first.
_MAX_SENSORS = 1000


class Removed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A removal; `history`: what is stored is still to be deleted."""

    removed_ms: int
    history: bool = False


class Removals(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Removed nodes by name, removed sensors by `node:sensor`, and renames from old to new."""

    nodes: dict[str, Removed] = {}
    sensors: dict[str, Removed] = {}
    renames: dict[str, str] = {}


def load(path: Path) -> Removals:
    """Return what is in the file; nothing where it is missing.

    Raises MisconfiguredError where it is open to others, cannot be read or holds something else.
    """
    return private_json.load(
        path, Removals, Removals(), what="removals", remedy="restore or remove it"
    )


def change(path: Path, function: Callable[[Removals], Removals]) -> None:
    """Replace the content of the file, locked against other programs."""
    private_json.change(path, load, function)


def remove_node(  # noqa: PLR0913 - two files, and the words of a command
    paths: Sequence[Path],
    accounts_path: Path,
    node: str,
    *,
    history: bool,
    own_node: str,
    seen: Container[str] = (),
) -> None:
    """Revoke a node's login and note its removal at each of the hub's workers.

    Raises MisconfiguredError where there is no such node: no login, no history, and not `seen`.
    """
    _check_name(node)
    if node == own_node:
        raise MisconfiguredError(f"found {node}, this hub's own node; expected another one")
    if node not in seen and not any(node in load(path).nodes for path in paths):
        _check_known(paths, accounts_path, node)
    _revoke(accounts_path, node)
    removed = Removed(now_ms(), history)
    for path in paths:
        change(
            path,
            lambda found: msgspec.structs.replace(found, nodes={**found.nodes, node: removed}),
        )


def remove_sensor(
    paths: Sequence[Path], node: str, sensor: str, *, history: bool, seen: Container[str] = ()
) -> None:
    """Note the removal of a sensor. One that gives readings afterwards is there again.

    Raises MisconfiguredError where it has no history and is not `seen`, as `node:sensor`.
    """
    _check_name(node)
    _check_name(sensor)
    name = f"{node}:{sensor}"
    if name not in seen and not any(name in known_names.sensors(_history(p)) for p in paths):
        raise MisconfiguredError(f"found no sensor {name}")
    removed = Removed(now_ms(), history)

    def add(found: Removals) -> Removals:
        sensors = {**found.sensors, name: removed}
        newest = sorted(sensors.items(), key=lambda item: item[1].removed_ms)[-_MAX_SENSORS:]
        return msgspec.structs.replace(found, sensors=dict(newest))

    for path in paths:
        change(path, add)


def rename_node(
    paths: Sequence[Path], accounts_path: Path, old: str, new: str, *, own_node: str
) -> str:
    """Give a node's history to a new name; return the token of the new login.

    The old name is removed. Raises MisconfiguredError where a name cannot be used.
    """
    _check_name(old)
    _check_name(new)
    if old == new or own_node in (old, new):
        raise MisconfiguredError(
            f"found {old} and {new}, expected two names, neither of them this hub's own node"
        )
    if new in accounts.load(accounts_path).nodes:
        raise MisconfiguredError(f"found a login of {new}; expected a name that is free")
    if any(new in known_names.nodes(_history(path)) for path in paths):
        raise MisconfiguredError(
            f"found a history of {new}; expected a name that is free, as it is after"
            f" `harvester node remove {new} --history`"
        )
    _check_known(paths, accounts_path, old)
    token = accounts.enroll(accounts_path, new)
    _revoke(accounts_path, old)
    removed = Removed(now_ms())
    for path in paths:
        change(
            path,
            lambda found: msgspec.structs.replace(
                found,
                nodes={**{k: v for k, v in found.nodes.items() if k != new}, old: removed},
                renames={**found.renames, old: new},
            ),
        )
    return token


def _check_known(paths: Sequence[Path], accounts_path: Path, node: str) -> None:
    stored = {name for path in paths for name in known_names.nodes(_history(path))}
    known = stored.union(accounts.load(accounts_path).nodes)
    if node not in known:
        expected = ", ".join(sorted(known)) or "none yet"
        raise MisconfiguredError(f"found no node {node}; expected one of {expected}")


def _history(path: Path) -> Path:
    return path.parent / known_names.FILE_NAME


def _revoke(accounts_path: Path, node: str) -> None:
    if node in accounts.load(accounts_path).nodes:
        accounts.revoke(accounts_path, node)


def _check_name(name: str) -> None:
    if not is_name(name):
        raise MisconfiguredError(f"found {name[:70]!r}, expected a name of {NAME_RULE}")
