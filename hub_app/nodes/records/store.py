"""Store of plugins' records: the newest of each plugin, in a file of the state directory.

Calls come from the event loop; a thread of its own writes.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from bus.contract.messages import PluginRecord
from bus.contract.topics import is_name
from bus.fault import Fault
from bus.files import private_file, whole_file
from hub_app.live.views import RecordView, record_view

logger = logging.getLogger(__name__)

FOLDER_NAME = "records"
_SUFFIX = ".json"
# At most 200 KB each. The oldest of a node go first, in all those of the node with most.
MOST_OF_NODE = 64
MOST_RECORDS = 1024

Key = tuple[str, str]


class RecordStore:
    """The newest record of each plugin of each node. Without a directory it keeps none."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._views: dict[Key, RecordView] = {}
        self._writer = ThreadPoolExecutor(1, "records")
        self._fault = Fault("records of plugins", logger=logger)

    def load(self) -> None:
        """Read what there is, before any other call. Blocks."""
        if self._directory is None or not self._directory.is_dir():
            return
        files = sorted(self._directory.glob(f"*{_SUFFIX}"), key=lambda file: file.stat().st_mtime)
        for file in files:
            node, _, plugin = file.stem.partition(".")
            message = _read(file)
            if message is not None and is_name(node) and is_name(plugin):
                self._views[node, plugin] = record_view(message)

    def close(self) -> None:
        """Wait for the writer."""
        self._writer.shutdown()

    async def written(self) -> None:
        """Wait until all records that were put are in their files."""
        await asyncio.wrap_future(self._writer.submit(_do_nothing))

    def put(self, node: str, plugin: str, message: PluginRecord) -> None:
        """Keep a record in place of the last one."""
        if self._directory is None:
            return
        self._views.pop((node, plugin), None)
        self._views[node, plugin] = record_view(message)
        self._writer.submit(self._write, self._file(node, plugin), msgspec.json.encode(message))
        if len(self.of_node(node)) > MOST_OF_NODE:
            self._remove_oldest(node)
        if len(self._views) > MOST_RECORDS:
            ((most, _),) = Counter(of for of, _ in self._views).most_common(1)
            self._remove_oldest(most)

    def of_node(self, node: str) -> Mapping[str, RecordView]:
        """Return the records of a node, by plugin."""
        return {plugin: view for (of, plugin), view in self._views.items() if of == node}

    def remove_node(self, node: str) -> None:
        """Remove the records of a node that is gone."""
        for key in [key for key in self._views if key[0] == node]:
            self._remove(key)

    def content(self, node: str, plugin: str) -> bytes | None:
        """Return the file that `harvester plugins replay` takes. Blocks."""
        if self._directory is None or (node, plugin) not in self._views:
            return None
        # Behind what is still to be written.
        message = self._writer.submit(_read, self._file(node, plugin)).result()
        return None if message is None else message.content

    def _remove_oldest(self, node: str) -> None:
        self._remove(next(key for key in self._views if key[0] == node))

    def _remove(self, key: Key) -> None:
        del self._views[key]
        self._writer.submit(self._file(*key).unlink, missing_ok=True)

    def _file(self, node: str, plugin: str) -> Path:
        return (self._directory or Path()) / f"{node}.{plugin}{_SUFFIX}"

    def _write(self, file: Path, content: bytes) -> None:
        try:
            private_file.make_directory(file.parent)
            whole_file.replace(file, content)
        except OSError as e:
            self._fault.failed(f"{file}: {e.strerror}; what nodes send meanwhile is not kept")
        else:
            self._fault.worked()


def _do_nothing() -> None:
    return


def _read(file: Path) -> PluginRecord | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=PluginRecord)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
