"""Bundle order: the statement, signed by the hub, that a node is to run a bundle.

It names the node, the plugin, the bundle's digest and a release number that only grows, so that a
signed bundle serves for nothing else and an older one cannot be played again.
"""

import hashlib
from typing import Annotated

import msgspec

from bus.contract.bounds import Count, Milliseconds, Name, OptionalName, Sha256, Word
from bus.contract.messages import MAX_BUNDLE_BYTES, SignedBundle
from bus.contract.plugin_file import ed25519
from bus.contract.plugin_file.bundle import BadBundleError, Bundle, parse, text_of
from bus.contract.topics import Topic
from bus.errors import BadDataError

# So that a signature of the same key for anything else is none of an order.
_CONTEXT = b"harvester bundle order 1\n"
DEFAULT_PROBATION = 30
MAX_PROBATION = 10_000

Probation = Annotated[int, msgspec.Meta(ge=1, le=MAX_PROBATION)]


class BadOrderError(BadDataError):
    """An order that is not the hub's, not for this node, or not for this bundle."""


class BundleOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What the hub signs. Without `sha256`, the node is to run its own file of the plugin.

    `version` is the author's; `probation` is the number of good polls until the bundle is kept. A
    `shadow` only polls beside the version that runs.
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


def encode(order: BundleOrder) -> str:
    return msgspec.json.encode(order).decode()


def signed_bytes(text: str) -> bytes:
    """Return the bytes that are signed for the text of an order."""
    return _CONTEXT + text.encode()


def verify(message: SignedBundle, key: bytes, topic: Topic) -> BundleOrder:
    """Return the order of a message on `topic` that the hub has signed. Raises BadOrderError."""
    if not message.signature:
        raise BadOrderError("found no signature, expected the hub's")
    if not ed25519.verify(key, signed_bytes(message.order), message.signature):
        raise BadOrderError("found a signature that is not of this hub's key and this order")
    try:
        order = msgspec.json.decode(message.order, type=BundleOrder)
    except (msgspec.DecodeError, RecursionError) as e:
        raise BadOrderError(f"found an order that cannot be read: {e}") from e
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
