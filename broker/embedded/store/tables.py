"""Tables of the store's file, and the statements that put and drop their rows."""

from bus.files.database import Schema

_TABLES = """
CREATE TABLE retained (
    topic TEXT PRIMARY KEY, payload BLOB NOT NULL,
    qos INTEGER NOT NULL CHECK (qos BETWEEN 0 AND 2), stored_ms INTEGER NOT NULL,
    properties BLOB NOT NULL DEFAULT x'', owner TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE sessions (
    session TEXT PRIMARY KEY, client_id TEXT NOT NULL, left_ms INTEGER, expiry_s INTEGER
) STRICT;
CREATE TABLE subscriptions (
    session TEXT NOT NULL, filter TEXT NOT NULL,
    qos INTEGER NOT NULL CHECK (qos BETWEEN 0 AND 2), no_local INTEGER NOT NULL DEFAULT 0,
    retain_as_published INTEGER NOT NULL DEFAULT 0, identifier INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (session, filter)
) STRICT, WITHOUT ROWID;
CREATE TABLE messages (
    message_id INTEGER PRIMARY KEY, session TEXT NOT NULL, topic TEXT NOT NULL,
    payload BLOB NOT NULL, qos INTEGER NOT NULL CHECK (qos BETWEEN 0 AND 2),
    retain INTEGER NOT NULL, packet_id INTEGER, queued_ms INTEGER NOT NULL,
    released INTEGER NOT NULL DEFAULT 0, properties BLOB NOT NULL DEFAULT x'',
    share TEXT NOT NULL DEFAULT ''
) STRICT;
"""
# Version 3: MQTT 5. A column that is added comes last, also in the tables of a new file.
_MQTT_5 = """
ALTER TABLE retained ADD COLUMN properties BLOB NOT NULL DEFAULT x'';
ALTER TABLE retained ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN expiry_s INTEGER;
ALTER TABLE subscriptions ADD COLUMN no_local INTEGER NOT NULL DEFAULT 0;
ALTER TABLE subscriptions ADD COLUMN retain_as_published INTEGER NOT NULL DEFAULT 0;
ALTER TABLE subscriptions ADD COLUMN identifier INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN properties BLOB NOT NULL DEFAULT x'';
"""
# Packet ids of incoming messages of QoS 2 that were passed on and not released.
_UNRELEASED = """
CREATE TABLE unreleased (
    session TEXT NOT NULL, packet_id INTEGER NOT NULL, PRIMARY KEY (session, packet_id)
) STRICT, WITHOUT ROWID;
"""
# Of connected clients, and of clients that are gone until `due_ms`; sessions need not be kept.
_WILLS = """
CREATE TABLE wills (
    session TEXT PRIMARY KEY, client_id TEXT NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL,
    qos INTEGER NOT NULL CHECK (qos BETWEEN 0 AND 2), retain INTEGER NOT NULL,
    properties BLOB NOT NULL, due_ms INTEGER
) STRICT;
"""
# The shared subscription through which a message came.
_SHARES = "ALTER TABLE messages ADD COLUMN share TEXT NOT NULL DEFAULT '';"
SCHEMA = Schema(
    _TABLES + _UNRELEASED + _WILLS,
    migrations=(
        "ALTER TABLE messages ADD COLUMN released INTEGER NOT NULL DEFAULT 0;" + _UNRELEASED,
        _MQTT_5,
        _WILLS,
        _SHARES,
    ),
)
# Not INSERT OR REPLACE, which moves the row and writes its index again.
PUT = {
    "retained": "INSERT INTO retained VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
    "payload = excluded.payload, qos = excluded.qos, stored_ms = excluded.stored_ms, "
    "properties = excluded.properties, owner = excluded.owner",
    "sessions": "INSERT INTO sessions VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
    "client_id = excluded.client_id, left_ms = excluded.left_ms, expiry_s = excluded.expiry_s",
    "subscriptions": "INSERT OR REPLACE INTO subscriptions VALUES (?, ?, ?, ?, ?, ?)",
    "messages": "INSERT OR REPLACE INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "unreleased": "INSERT OR REPLACE INTO unreleased VALUES (?, ?)",
    "wills": "INSERT OR REPLACE INTO wills VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
}
DROP = {
    "retained": "DELETE FROM retained WHERE topic = ?",
    "sessions": "DELETE FROM sessions WHERE session = ?",
    "subscriptions": "DELETE FROM subscriptions WHERE session = ? AND filter = ?",
    "messages": "DELETE FROM messages WHERE message_id = ?",
    "unreleased": "DELETE FROM unreleased WHERE session = ? AND packet_id = ?",
    "wills": "DELETE FROM wills WHERE session = ?",
}
VERSION = SCHEMA.version
