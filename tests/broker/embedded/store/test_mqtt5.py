"""Store of MQTT 5: properties, options and expiry are kept, and a store of version 2 is read."""

import asyncio
import sqlite3
from pathlib import Path

from broker.embedded.packets.model import Properties
from broker.embedded.store.file import StoreFile
from broker.embedded.store.records import Contents, StoredMessage
from broker.embedded.store.store import FILE_NAME, Store
from broker.embedded.topics.grant import Grant
from broker.embedded.topics.retained import Retained
from bus.config.broker_table import BrokerConfig
from tests.broker.embedded.switch import ours_only

pytestmark = ours_only

PROPERTIES = Properties(
    payload_format=1,
    message_expiry_s=60,
    content_type="text/plain",
    response_topic="answers",
    correlation_data=b"\0\xff",
    user=(("a", "1"), ("a", "2")),
    subscription_ids=(3, 300_000_000 // 2),
)
VERSION_2 = """
    CREATE TABLE retained (topic TEXT PRIMARY KEY, payload BLOB NOT NULL,
        qos INTEGER NOT NULL, stored_ms INTEGER NOT NULL) STRICT;
    CREATE TABLE sessions (session TEXT PRIMARY KEY, client_id TEXT NOT NULL,
        left_ms INTEGER) STRICT;
    CREATE TABLE subscriptions (session TEXT NOT NULL, filter TEXT NOT NULL,
        qos INTEGER NOT NULL, PRIMARY KEY (session, filter)) STRICT, WITHOUT ROWID;
    CREATE TABLE messages (message_id INTEGER PRIMARY KEY, session TEXT NOT NULL,
        topic TEXT NOT NULL, payload BLOB NOT NULL, qos INTEGER NOT NULL,
        retain INTEGER NOT NULL, packet_id INTEGER, queued_ms INTEGER NOT NULL,
        released INTEGER NOT NULL DEFAULT 0) STRICT;
    CREATE TABLE unreleased (session TEXT NOT NULL, packet_id INTEGER NOT NULL,
        PRIMARY KEY (session, packet_id)) STRICT, WITHOUT ROWID;
    INSERT INTO retained VALUES ('r', x'31', 1, 7);
    INSERT INTO sessions VALUES ('hub:c:c', 'c', 5);
    INSERT INTO subscriptions VALUES ('hub:c:c', 't/#', 2);
    INSERT INTO messages VALUES (3, 'hub:c:c', 't', x'78', 1, 0, 9, 7, 0);
    PRAGMA user_version=2;
"""


def _loaded(directory: Path) -> Contents:
    file = StoreFile(directory / FILE_NAME)
    try:
        return file.load()
    finally:
        file.close()


def _keep(directory: Path, retained: Retained, message: StoredMessage, grant: Grant) -> None:
    async def keep() -> None:
        store = Store(directory, BrokerConfig())
        store.load(0)
        store.start()
        store.put_retained(retained.topic, retained)
        assert store.put_session("s", "c", 10, 60)
        store.put_subscription("s", "a/#", grant)
        store.put_message("s", message)
        await store.stop()

    asyncio.run(keep())


def test_properties_options_and_expiry_survive_a_restart(tmp_path: Path) -> None:
    retained = Retained("r", b"1", 1, 7, properties=PROPERTIES)
    message = StoredMessage(
        message_id=1,
        topic="a/b",
        payload=b"x",
        qos=2,
        queued_ms=5,
        properties=PROPERTIES,
        group="$share/g/a/#",
    )
    grant = Grant(1, no_local=True, retain_as_published=True, ids=(5,))
    _keep(tmp_path, retained, message, grant)
    found = _loaded(tmp_path)
    assert found.retained == [retained]
    kept = found.sessions["s"]
    assert (kept.left_ms, kept.expiry_s) == (10, 60)
    assert kept.subscriptions == {"a/#": grant}
    assert kept.messages == [message]


def test_a_session_expires_after_its_own_interval() -> None:
    async def expired() -> list[list[str]]:
        store = Store(None, BrokerConfig(session_days=1.0))
        for key, expiry_s in (("short", 2), ("long", 90_000), ("unlimited", None)):
            store.put_session(key, key, 0, expiry_s)
        return [store.expired(now_ms) for now_ms in (2_000, 2_001, 86_400_000, 86_400_001)]

    everyone = ["short", "long", "unlimited"]
    assert asyncio.run(expired()) == [[], ["short"], ["short"], everyone]


def test_a_store_of_the_second_version_is_read_and_written(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE_NAME) as database:
        database.executescript(VERSION_2)
    database.close()
    found = _loaded(tmp_path)
    assert found.retained == [Retained("r", b"1", 1, 7)]
    kept = found.sessions["hub:c:c"]
    assert (kept.left_ms, kept.expiry_s, kept.subscriptions) == (5, None, {"t/#": Grant(2)})
    assert [each.packet_id for each in kept.messages] == [9]
    message = StoredMessage(message_id=9, topic="t", payload=b"", qos=1, queued_ms=5)
    _keep(tmp_path, Retained("new", b"1", 0, 7), message, Grant(1, ids=(2,)))
    assert _loaded(tmp_path).sessions["s"].subscriptions == {"a/#": Grant(1, ids=(2,))}


def test_damaged_properties_set_the_store_aside(tmp_path: Path) -> None:
    message = StoredMessage(message_id=1, topic="a", payload=b"", qos=1, queued_ms=5)
    _keep(tmp_path, Retained("r", b"1", 1, 7), message, Grant(1))
    with sqlite3.connect(tmp_path / FILE_NAME) as database:
        database.execute("UPDATE messages SET properties = x'05ff'")
    database.close()
    assert _loaded(tmp_path) == Contents()
    assert len(list(tmp_path.glob(f"{FILE_NAME}.*"))) >= 1
