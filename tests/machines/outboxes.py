"""Readings in the outboxes of nodes, and those of them that reached the hub's history."""

import json

import msgspec

from tests.machines.machine import Machine


class Held(msgspec.Struct, frozen=True):
    """A reading in an outbox, in RAM or, where it `is_safe`, on the disk."""

    stream: str
    seq: int
    timestamp_ms: int
    is_safe: bool


def held(machine: Machine) -> set[Held]:
    """Return the readings that a node has and the hub has not acknowledged."""
    machine.write("/root/outbox.py", _OUTBOX)
    return set(msgspec.json.decode(machine.run("python3 /root/outbox.py"), type=list[Held]))


def not_stored(hub: Machine, node: str, expected: set[Held]) -> list[Held]:
    """Return those of the readings of `node` that are not in the hub's history."""
    stored = {(stream, seq) for stream, seq, *_ in _rows(hub, node)}
    found = [reading for reading in expected if (reading.stream, reading.seq) not in stored]
    return sorted(found, key=lambda reading: (reading.timestamp_ms, reading.seq))


def timestamps(hub: Machine, node: str) -> list[tuple[int, bool]]:
    """Return time and whether it was corrected, of each stored reading of a node."""
    return [(timestamp_ms, bool(redated)) for _, _, timestamp_ms, redated in _rows(hub, node)]


def repeated(hub: Machine, node: str) -> int:
    """Return how many readings of a node are stored more than once."""
    numbers = [(stream, seq) for stream, seq, *_ in _rows(hub, node)]
    return len(numbers) - len(set(numbers))


def _rows(hub: Machine, node: str) -> list[tuple[str, int, int, int]]:
    """Return stream, number, time and whether that was corrected, of each stored reading."""
    hub.write("/root/history.py", _HISTORY)
    found: list[tuple[str, int, int, int]] = json.loads(hub.run(f"python3 /root/history.py {node}"))
    return found


_OUTBOX = """
import glob, json, sqlite3
found = {}
# RAM first: a reading that moves to the disk meanwhile is in both, and counts as on the disk.
for pattern in ("/run/harvester-*/outbox.db", "/var/lib/harvester-*/*/outbox.db"):
    for path in glob.glob(pattern):
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
        for stream, seq, timestamp_ms in db.execute(
            "SELECT s.name, r.seq, r.timestamp_ms FROM reading r JOIN stream s ON s.id = r.stream"
        ):
            found[stream, seq] = {
                "stream": stream, "seq": seq, "timestamp_ms": timestamp_ms,
                "is_safe": path.startswith("/var"),
            }
print(json.dumps(list(found.values())))
"""
_HISTORY = """
import glob, json, sqlite3, sys
path = glob.glob("/var/lib/harvester-hub/*/history.db")[0]
db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
print(json.dumps(db.execute(
    "SELECT stream, seq, timestamp_ms, redated FROM readings WHERE node = ?", sys.argv[1:]
).fetchall()))
"""
