"""The peer of the fleet: what people write first, a subscriber with paho that fills SQLite.

It inserts with executemany, a commit every two seconds, and then answers each node on `stored`.
    python -m bench.fleet.peer PORT FILE
"""

import itertools
import json
import sqlite3
import sys
import threading
import time
from collections import defaultdict

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.support import HOST

_COMMIT_S = 2.0


class Peer:
    """The script: a lock, a list, and a thread that commits it."""

    def __init__(self, port: int, file: str) -> None:
        self._lock = threading.Lock()
        self._rows: list[tuple[str, str, int, str, int, str]] = []
        self._db = sqlite3.connect(file, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS reading (node TEXT, stream TEXT, seq INTEGER, sensor TEXT,"
            " timestamp_ms INTEGER, data TEXT, PRIMARY KEY (stream, seq)) WITHOUT ROWID"
        )
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "peer", clean_session=False)
        self._client.max_inflight_messages_set(65_535)
        self._client.max_queued_messages_set(0)
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        self._client.connect(HOST, port)

    def run(self) -> None:
        self._client.loop_start()
        while True:
            time.sleep(_COMMIT_S)
            self._commit()

    def _on_connect(self, client: paho.Client, *_: object) -> None:
        client.subscribe([("harvester/+/readings/+", 1), ("harvester/+/backlog", 1)])

    def _on_message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        found = json.loads(message.payload)
        rows = [
            (
                *(one["node"], one["stream"], one["seq"], one["sensor_id"]),
                *(one["timestamp_ms"], json.dumps(one["data"])),
            )
            for one in (found if isinstance(found, list) else [found])
        ]
        with self._lock:
            self._rows += rows

    def _commit(self) -> None:
        with self._lock:
            rows, self._rows = self._rows, []
        if not rows:
            return
        rows.sort()
        with self._db:
            self._db.executemany("INSERT OR IGNORE INTO reading VALUES (?, ?, ?, ?, ?, ?)", rows)
        stored: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        for (node, stream), group in itertools.groupby(rows, lambda row: row[:2]):
            for row in group:
                stored[node, stream].append((row[2], row[2]))
        for (node, stream), ranges in stored.items():
            payload = json.dumps({"stream": stream, "ranges": ranges[:1000]})
            self._client.publish(f"harvester/{node}/stored", payload, 1)


if __name__ == "__main__":
    Peer(int(sys.argv[1]), sys.argv[2]).run()
