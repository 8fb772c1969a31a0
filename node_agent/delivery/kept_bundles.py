"""Delivered files of a node on its disk: bundles, components, and the progress of each plugin.

All are replaced whole, the bundle or component first, so that a power cut at any moment leaves
versions that run. What is read back at a start is verified as if it had just come.
"""

import contextlib
import logging
import re
from collections.abc import Callable, Container, Iterator
from pathlib import Path

from bus.contract.messages import SignedBundle
from bus.contract.plugin_file import component_file, order
from bus.contract.plugin_file.bundle import SUFFIX
from bus.contract.topics import Topic
from bus.errors import BadDataError
from bus.files import json_file, whole_file
from node_agent.delivery import progress
from node_agent.delivery.progress import OWN_FILE, Progress, Version

logger = logging.getLogger(__name__)

_DIGEST_CHARS = 16
# Ends the name of a component that is being fetched.
_FETCHED = ".fetched"
_DELIVERED = re.compile(
    r"\.?(?P<name>[a-z0-9-]+)-(?P<digest>[0-9a-f]{16})(\.bundle|\.wasm)(\.fetched|\.\d+\.partial)?"
)
_CONSEQUENCE = "the node's own file of the plugin runs"


class KeptBundles:
    """The delivered files and the progress of one plugin, in `folder`. One thread at a time."""

    def __init__(
        self, folder: Path, topic: Topic, refusal: Callable[[str], str] = lambda _form: ""
    ) -> None:
        """`topic` is that of the plugin's orders for this node; `refusal` is of a form of files."""
        self._refusal = refusal
        self._folder = folder
        self._topic = topic
        self._progress_file = folder / f"{topic.name}.json"

    def path(self, version: Version) -> Path:
        """Return the path of a delivered version's file."""
        suffix = component_file.SUFFIX if version.form == "component" else SUFFIX
        return self._folder / f"{self._topic.name}-{version.sha256[:_DIGEST_CHARS]}{suffix}"

    def fetched_path(self, version: Version) -> Path:
        """Return the path of what has come of a component so far."""
        path = self.path(version)
        return path.with_name(path.name + _FETCHED)

    def has(self, version: Version) -> bool:
        """Whether the component of a version is there, with its digest."""
        try:
            return component_file.digest_of(self.path(version)) == version.sha256
        except OSError:
            return False

    def write(self, version: Version, content: bytes) -> None:
        """Keep a bundle. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        whole_file.replace(self.path(version), content)

    def save(self, found: Progress) -> None:
        """Keep the progress. Raises OSError."""
        json_file.save(self._progress_file, found)

    def remove_unneeded(self, found: Progress, *, also_needed: str = "") -> None:
        """Remove the files that no version needs any more, and what a killed node left of one."""
        needed = {digest[:_DIGEST_CHARS] for digest in (*found.files, also_needed)}
        for path in _files(self._folder):
            name, digest = _plugin_of(path)
            is_needed = digest in needed and not path.name.startswith(".")
            if name == self._topic.name and not is_needed:
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
            if not version.is_own_file and (refusal := self._refusal(version.form)):
                return refusal
            message = SignedBundle(version.order, version.signature)
            said = order.verify(message, key, self._topic)
            if progress.version_of(said, message) != version:
                return f"{self._progress_file}: found a version other than its order's, as signed"
            if with_file and version.form == "component":
                order.check_component(said, self.path(version))
            elif with_file:
                content = b"" if version.is_own_file else self.path(version).read_bytes()
                order.check_content(said, content)
        except (BadDataError, OSError) as e:
            return str(e)
        return ""


def remove_former(folder: Path, enabled: Container[str]) -> None:
    """Remove what a node has of plugins that are no more enabled, and what it was writing.

    Only at a start: later, something may be written.
    """
    for path in _files(folder):
        if _plugin_of(path)[0] not in enabled:
            logger.info("%s: of a plugin that this node has no more; removed", path)
            with contextlib.suppress(OSError):
                path.unlink()
    for path in (*folder.glob("*.json"), *folder.glob("*.damaged")):
        if path.stem not in enabled:
            with contextlib.suppress(OSError):
                path.unlink()
    for path in folder.glob(f".*{whole_file.PARTIAL}"):
        with contextlib.suppress(OSError):
            path.unlink()


def _files(folder: Path) -> Iterator[Path]:
    """Yield the delivered files, and those that are or were being written."""
    return (path for path in list(folder.glob("*")) if _DELIVERED.fullmatch(path.name))


def _plugin_of(path: Path) -> tuple[str, str]:
    """Return the plugin of a delivered file, and the beginning of its digest."""
    found = _DELIVERED.fullmatch(path.name)
    return ("", "") if found is None else (found["name"], found["digest"])
