"""Bundle order: the statement, signed by the hub, that a node is to run a version of a plugin.

It names the node, the plugin, the file's digest and a release number that only grows, so that a
signed file serves for nothing else and an older one cannot be played again. A bundle comes with its
order; a component is a file that the node fetches from the hub.
"""

import hashlib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from bus.contract.bounds import (
    MAX_COMPONENT_BYTES,
    Count,
    Milliseconds,
    Name,
    OptionalName,
    Sha256,
    Word,
)
from bus.contract.messages import MAX_BUNDLE_BYTES, SignedBundle
from bus.contract.plugin_file import component_file, ed25519, worlds
from bus.contract.plugin_file.bundle import BadBundleError, Bundle, parse, text_of
from bus.contract.topics import Topic
from bus.errors import BadDataError
from bus.peer_address import is_host

# So that a signature of the same key for anything else is none of an order.
_CONTEXT = b"harvester bundle order 1\n"
DEFAULT_PROBATION = 30
MAX_PROBATION = 10_000
# RFC 1035 section 2.3.4.
MAX_HOST_CHARS = 253

Probation = Annotated[int, msgspec.Meta(ge=1, le=MAX_PROBATION)]
Form = Literal["bundle", "component"]
ComponentBytes = Annotated[int, msgspec.Meta(ge=0, le=MAX_COMPONENT_BYTES)]


class BadOrderError(BadDataError):
    """An order that is not the hub's, not for this node, or not for this bundle."""


class BundleOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What the hub signs. Without `sha256`, the node is to run its own file of the plugin.

    `version` is the author's; `probation` is the number of good polls until the bundle is kept. A
    `shadow` only polls beside the version that runs. Of a component, there are its size, the
    version of the `contract` that it was built for, and the hub's `port` that has it; and its
    `host` where that is none of the node's broker.
    """

    node: Name
    plugin: Name
    release: Count
    sha256: Sha256 = ""
    world: OptionalName = ""
    version: Word = ""
    probation: Probation = DEFAULT_PROBATION
    issued_ms: Milliseconds = 0
    shadow: bool = False
    form: Form = "bundle"
    size_bytes: ComponentBytes = 0
    contract: Word = ""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    host: Annotated[str, msgspec.Meta(max_length=MAX_HOST_CHARS)] = ""


def encode(order: BundleOrder) -> str:
    return msgspec.json.encode(order).decode()


def signed_bytes(text: str) -> bytes:
    """Return the bytes that are signed for the text of an order."""
    return _CONTEXT + text.encode()


def read(text: str) -> BundleOrder:
    """Return what an order says, whose signature is not verified here. Raises BadOrderError."""
    try:
        return msgspec.json.decode(text, type=BundleOrder)
    except (msgspec.DecodeError, RecursionError) as e:
        raise BadOrderError(f"found an order that cannot be read: {e}") from e


def verify(message: SignedBundle, key: bytes, topic: Topic) -> BundleOrder:
    """Return the order of a message on `topic` that the hub has signed. Raises BadOrderError."""
    if not message.signature:
        raise BadOrderError("found no signature, expected the hub's")
    if not ed25519.verify(key, signed_bytes(message.order), message.signature):
        raise BadOrderError("found a signature that is not of this hub's key and this order")
    order = read(message.order)
    if (order.node, order.plugin) != (topic.node, topic.name):
        raise BadOrderError(
            f"found an order for {order.plugin} of {order.node}, expected one for {topic.name} "
            f"of {topic.node}"
        )
    return order


def check_content(order: BundleOrder, content: bytes) -> Bundle | None:
    """Return the bundle that `content` is, None for a node's own file.

    Raises BadOrderError where it is not the signed one, BadBundleError where it is no bundle.
    """
    if order.form == "component":
        _check_component_order(order, content)
        return None
    if not order.sha256 and not content:
        return None
    found = hashlib.sha256(content).hexdigest()
    if found != order.sha256:
        raise BadOrderError(
            f"found a bundle of {len(content)} bytes with sha256 {found[:12]}, expected "
            f"{order.sha256[:12] or 'none'}, which is signed"
        )
    if len(content) > MAX_BUNDLE_BYTES:
        raise BadBundleError(
            f"found a bundle of {len(content)} bytes, expected {MAX_BUNDLE_BYTES} at most"
        )
    said = parse(text_of(content, order.plugin), order.plugin)
    if said.world != order.world:
        raise BadOrderError(f"found a bundle for {said.world}, expected {order.world}, as signed")
    return said


def check_component(order: BundleOrder, path: Path) -> None:
    """Raise BadOrderError where the file at `path` is not the signed component, or OSError."""
    size_bytes, found = path.stat().st_size, component_file.digest_of(path)
    if (size_bytes, found) != (order.size_bytes, order.sha256):
        raise BadOrderError(
            f"found a component of {size_bytes} bytes with sha256 {found[:12]}, expected "
            f"{order.size_bytes} bytes with {order.sha256[:12]}, which is signed"
        )


def _check_component_order(order: BundleOrder, content: bytes) -> None:
    """Raise BadOrderError where an order of a component names none that may be fetched."""
    if content:
        raise BadOrderError(f"found {len(content)} bytes with the order of a component")
    if order.host and not is_host(order.host):
        raise BadOrderError(f"found {order.host!r}, expected a host that has the component")
    if not order.sha256 or not order.size_bytes or not order.port:
        raise BadOrderError("found the order of a component without its sha256, size or port")
    if sentence := worlds.refusal(order.world) or worlds.version_refusal(order.contract):
        raise BadOrderError(f"{sentence}; update this node")
