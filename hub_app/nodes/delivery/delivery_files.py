"""Files of deliveries: what is wanted, and the bundles and components by their digests.

Commands write them, the running hub follows them.
"""

import contextlib
import hashlib
import time
from collections.abc import Callable, Container, Iterable
from pathlib import Path

from bus.contract.bounds import MAX_BUNDLE_BYTES
from bus.contract.description import PluginDescription
from bus.contract.plugin_file import bundle, component_file
from bus.contract.plugin_file.bundle import SUFFIX, Bundle
from bus.errors import BadDataError, MisconfiguredError
from bus.files import private_file, private_json
from hub_app.nodes.delivery import wanted
from hub_app.nodes.delivery.rollout import Rollout
from hub_app.nodes.delivery.wanted import Deliveries

_FILE_NAME = "plugin-deliveries.json"
_FOLDER = "plugin-bundles"
# A bundle may be there before the rollout that names it.
_UNNAMED_S = 3600.0
COMPONENT_ADVICE = "on the hub, `harvester plugins deploy NAME.wasm` sends a component"
# The beginning of every WebAssembly file.
_WASM = b"\0asm"


class DeliveryFiles:
    """The files in a hub's state directory."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.path = state_dir / _FILE_NAME
        self._folder = state_dir / _FOLDER

    def load(self) -> Deliveries:
        """Return what is wanted; nothing where no file is. Raises MisconfiguredError."""
        return _load(self.path)

    def change(self, function: Callable[[Deliveries], Deliveries]) -> Deliveries:
        """Replace what is wanted, locked against other programs; return the new one."""
        return private_json.change(self.path, _load, function)

    def start(self, made: Rollout) -> None:
        """Begin a rollout in place of the plugin's last one."""
        self.change(lambda found: wanted.start(found, made))

    def keep_bundle(self, content: bytes) -> str:
        """Keep a bundle; return its digest. Raises MisconfiguredError."""
        digest = hashlib.sha256(content).hexdigest()
        private_file.write(self._bundle(digest), content)
        return digest

    def bundle(self, digest: str) -> bytes:
        """Return a bundle. Raises MisconfiguredError where it is not there."""
        try:
            content = private_file.read(self._bundle(digest))
        except FileNotFoundError:
            content = b""
        if hashlib.sha256(content).hexdigest() != digest:
            raise MisconfiguredError(
                f"{self._bundle(digest)}: found no bundle with this digest; deploy it again"
            )
        return content

    def keep_component(self, content: bytes) -> str:
        """Keep a component; return its digest. Raises MisconfiguredError."""
        digest = hashlib.sha256(content).hexdigest()
        private_file.write(self.component(digest), content)
        return digest

    def component(self, digest: str) -> Path:
        """Return the path of a component, which may not be there."""
        return self._folder / f"{digest}{component_file.SUFFIX}"

    def check_component(self, digest: str, size_bytes: int) -> None:
        """Raise MisconfiguredError where a component is not there, whole."""
        path = self.component(digest)
        if not path.is_file() or path.stat().st_size != size_bytes:
            raise MisconfiguredError(
                f"{path}: found no component of {size_bytes} bytes; deploy it again"
            )

    def missing(self, digests: Iterable[str]) -> set[str]:
        """Return the digests of which there is neither a bundle nor a component."""
        return {
            digest
            for digest in digests
            if not (self._bundle(digest).is_file() or self.component(digest).is_file())
        }

    def remove_unneeded(self, needed: Container[str]) -> None:
        """Remove the files that nobody may get any more."""
        for suffix in (SUFFIX, component_file.SUFFIX):
            for path in self._folder.glob(f"*{suffix}"):
                with contextlib.suppress(OSError):
                    is_old = time.time() - path.stat().st_mtime > _UNNAMED_S
                    if is_old and path.stem not in needed:
                        path.unlink()

    def _bundle(self, digest: str) -> Path:
        return self._folder / f"{digest}{SUFFIX}"


def check_component(path: Path) -> PluginDescription:
    """Return what the author of a component says. Raises MisconfiguredError with a sentence."""
    try:
        return component_file.read_description(path)
    except BadDataError as e:
        raise MisconfiguredError(str(e)) from e
    except OSError as e:
        raise MisconfiguredError(f"{path}: {e.strerror}; expected a component") from e


def check_bundle(content: bytes, name: object) -> Bundle:
    """Return the bundle in a file called `name`. Raises MisconfiguredError with a sentence."""
    if content.startswith(_WASM):
        raise MisconfiguredError(
            f"{name}: found a component, expected a bundle; {COMPONENT_ADVICE}"
        )
    if len(content) > MAX_BUNDLE_BYTES:
        raise MisconfiguredError(
            f"{name}: found {len(content)} bytes, expected {MAX_BUNDLE_BYTES} at most, as a bundle "
            "is one message; `--component` sends the plugin as a component"
        )
    try:
        return bundle.parse(bundle.text_of(content, name), name)
    except BadDataError as e:
        raise MisconfiguredError(str(e)) from e


def _load(path: Path) -> Deliveries:
    return private_json.load(
        path, Deliveries, Deliveries(), what="deliveries of plugins", remedy="restore or remove it"
    )
