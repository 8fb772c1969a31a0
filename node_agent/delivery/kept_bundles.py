"""Delivered bundles of a node on its disk: the file of each, and the progress of each plugin.

Both are replaced whole, the bundle first, so that a power cut at any moment leaves versions that
run. What is read back at a start is verified as if it had just come.
"""

import contextlib
import logging
from pathlib import Path

from bus.contract.messages import SignedBundle
from bus.contract.plugin_file import order
from bus.contract.plugin_file.bundle import SUFFIX
from bus.contract.topics import Topic
from bus.errors import BadDataError
from bus.files import json_file, whole_file
from node_agent.delivery import progress
from node_agent.delivery.progress import OWN_FILE, Progress, Version

logger = logging.getLogger(__name__)

_DIGEST_CHARS = 16
_CONSEQUENCE = "the node's own file of the plugin runs"


class KeptBundles:
    """The bundles and the progress of one plugin, in `folder`. One thread at a time."""

    def __init__(self, folder: Path, topic: Topic) -> None:
        """`topic` is that of the plugin's bundles for this node."""
        self._folder = folder
        self._topic = topic
        self._progress_file = folder / f"{topic.name}.json"

    def path(self, version: Version) -> Path:
        """Return the path of a delivered version's bundle."""
        return self._folder / f"{self._topic.name}-{version.sha256[:_DIGEST_CHARS]}{SUFFIX}"

    def write(self, version: Version, content: bytes) -> None:
        """Keep a bundle. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        whole_file.replace(self.path(version), content)

    def save(self, found: Progress) -> None:
        """Keep the progress. Raises OSError."""
        json_file.save(self._progress_file, found)

    def remove_unneeded(self, found: Progress, *, also_needed: str = "") -> None:
        """Remove the bundles that no version needs any more, and what a killed node left of one."""
        needed = {digest[:_DIGEST_CHARS] for digest in (*found.files, also_needed)}
        prefix = f"{self._topic.name}-"
        for path in self._folder.glob(f".{prefix}*{SUFFIX}.*{whole_file.PARTIAL}"):
            with contextlib.suppress(OSError):
                path.unlink()
        for path in self._folder.glob(f"{prefix}*{SUFFIX}"):
            digest = path.stem.removeprefix(prefix)
            # Another plugin's name may begin with this one's.
            if len(digest) == _DIGEST_CHARS and digest not in needed:
                with contextlib.suppress(OSError):
                    path.unlink()

    def load(self, key: bytes, now_ms: int) -> Progress:
        """Return the progress at a start, without versions that the hub's `key` does not verify."""
        found = json_file.load(self._progress_file, Progress, _CONSEQUENCE) or Progress()
        if error := self._problem(found.wanted, key, with_file=False):
            # Of another hub: its numbers say nothing about those of this one.
            logger.warning("%s: %s; %s", self._progress_file, error, _CONSEQUENCE)
            return Progress()
        return self._without_damaged(found, key, now_ms)

    def _without_damaged(self, found: Progress, key: bytes, now_ms: int) -> Progress:
        good = found.good
        if error := self._problem(good, key):
            logger.warning("plugin %s: %s; %s", self._topic.name, error, _CONSEQUENCE)
            current = OWN_FILE if found.current == good else found.current
            found = Progress(
                *(found.wanted, current, OWN_FILE, found.phase),
                *(found.reason or error, found.since_ms),
            )
        if error := self._problem(found.current, key):
            found = progress.failed(found, error, now_ms)
        is_to_load = found.phase in (progress.TRIAL, progress.SHADOW)
        if is_to_load and (error := self._problem(found.wanted, key)):
            found = progress.tried(found, error, now_ms)
        return found

    def _problem(self, version: Version, key: bytes, *, with_file: bool = True) -> str:
        """Return why a version is not to be run, or nothing."""
        if not version.order:
            return "" if version == OWN_FILE else "found no order"
        try:
            content = b""
            if with_file and not version.is_own_file:
                content = self.path(version).read_bytes()
            message = SignedBundle(version.order, version.signature)
            said = order.verify(message, key, self._topic)
            if progress.version_of(said, message) != version:
                return f"{self._progress_file}: found a version other than its order's, as signed"
            if with_file:
                order.check_content(said, content)
        except (BadDataError, OSError) as e:
            return str(e)
        return ""
