"""Bundles and components as a hub signs them, for tests of nodes and hubs."""

import hashlib

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from wasmtime import wat2wasm

from bus.contract.description import PluginDescription
from bus.contract.messages import SignedBundle
from bus.contract.plugin_file import bundle, component_section, order
from bus.contract.plugin_file.bundle import Bundle, Module
from bus.contract.plugin_file.component_section import _leb128
from bus.contract.plugin_file.order import BundleOrder
from tests.support import PROJECT

PRIVATE = Ed25519PrivateKey.from_private_bytes(b"hub" + b"\0" * 29)
KEY = PRIVATE.public_key().public_bytes_raw()
WORLD = "sensor-plugin"

_SOURCE = """
from wit_world import exports
from wit_world.exports.sensor_logic import Reading
from wit_world.imports import gpio_provider

polls = 0


class SensorLogic(exports.SensorLogic):
    def poll(self):
        global polls
        polls += 1
        {extra}
        return [Reading("room", gpio_provider.get_timestamp_ms(), [("version", {value})])]
"""


def room(version: str, extra: str = "", imports: tuple[str, ...] = ("gpio-provider",)) -> bytes:
    """Return a bundle whose readings tell its version; `extra` is a line of its poll."""
    source = _SOURCE.format(extra=extra, value=float(version))
    return bundle.encode(
        Bundle(
            world=WORLD,
            imports=list(imports),
            exports=["sensor-logic"],
            description=PluginDescription(version=version),
            modules={"app": Module("0/app.py", source)},
        )
    )


def make_order(content: bytes, release: int, **fields: object) -> BundleOrder:
    """Return the order for a bundle of the plugin `room` of pi4, without one for its own file."""
    found = BundleOrder(
        node="pi4",
        plugin="room",
        release=release,
        sha256=hashlib.sha256(content).hexdigest() if content else "",
        world=WORLD if content else "",
        version=f"{release}.0" if content else "",
        probation=5,
    )
    return msgspec.structs.replace(found, **fields)


def signed(content: bytes, release: int, **fields: object) -> SignedBundle:
    """Return the hub's message for a bundle."""
    text = order.encode(make_order(content, release, **fields))
    return SignedBundle(text, PRIVATE.sign(order.signed_bytes(text)), content)


_BY_HAND = PROJECT / "tests" / "components" / "by-hand" / "sensor.wat"
_MB = 1 << 20


def component(version: str, size_mb: int = 0) -> bytes:
    """Return a component whose readings tell its version, at least as large as is wanted."""
    wat = _BY_HAND.read_text().replace("f64.const 42", f"f64.const {version}")
    # A custom section of this size, which nobody reads: its length as LEB128, and its name.
    filler = b"\x00" + _leb128(_MB) + b"\x06filler" + bytes(_MB - 7)
    content = bytes(wat2wasm(wat)) + filler * size_mb
    return component_section.append(content, PluginDescription(version=version))


def signed_component(content: bytes, release: int, port: int, **fields: object) -> SignedBundle:
    """Return the hub's message for a component that it has at a port."""
    found: dict[str, object] = {
        "form": "component",
        "size_bytes": len(content),
        "contract": "1.0.0",
        "port": port,
    }
    text = order.encode(make_order(content, release, **(found | fields)))
    return SignedBundle(text, PRIVATE.sign(order.signed_bytes(text)), b"")
