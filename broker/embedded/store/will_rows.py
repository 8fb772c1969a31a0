"""Last wills of the store: one row for each connected client that has one, or that has left one."""

from collections.abc import Iterable

from broker.embedded.packets.properties import Owner, write_properties
from broker.embedded.store.records import StoredWill
from broker.embedded.store.rows import Rows


class WillRows:
    """Wills by the key of their session, which need not be kept.

    No row is urgent: nobody waits for it. One that is put and dropped within the time of a commit
    is never written.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._keys: set[str] = set()

    def load(self, keys: Iterable[str]) -> None:
        """Take over the wills of the file."""
        self._keys.update(keys)

    def put(self, key: str, kept: StoredWill) -> None:
        is_new = key not in self._keys
        self._keys.add(key)
        will = kept.will
        row = (
            key,
            kept.client_id,
            will.topic,
            will.payload,
            will.qos,
            int(will.retain),
            write_properties(will.properties, Owner.WILL),
            kept.due_ms,
        )
        self._rows.put("wills", (key,), row, is_new=is_new)

    def drop(self, key: str) -> None:
        """Remove a will; none is fine."""
        if key in self._keys:
            self._keys.discard(key)
            self._rows.put("wills", (key,), None)
