"""Orders are taken from the hub alone, for this node, this plugin and these bytes."""

import hashlib
import zlib
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.contract.description import PluginDescription
from bus.contract.messages import SignedBundle
from bus.contract.plugin_file import bundle, order
from bus.contract.plugin_file.bundle import Bundle, Module
from bus.contract.plugin_file.order import BundleOrder
from bus.contract.topics import Topic, TopicKind
from bus.errors import BadDataError

PRIVATE = Ed25519PrivateKey.from_private_bytes(b"hub" + b"\0" * 29)
KEY = PRIVATE.public_key().public_bytes_raw()
TOPIC = Topic("pi4", TopicKind.BUNDLE, "dht22")
CONTENT = bundle.encode(
    Bundle(
        "sensor-plugin",
        [],
        ["sensor-logic"],
        PluginDescription(version="1.0.0"),
        {"app": Module("0/app.py", "x = 1")},
    )
)


def made(content: bytes = CONTENT, **fields: object) -> BundleOrder:
    digest = hashlib.sha256(content).hexdigest()
    found = BundleOrder(node="pi4", plugin="dht22", release=7, sha256=digest, world="sensor-plugin")
    return msgspec.structs.replace(found, **fields)


def signed(said: BundleOrder, content: bytes = CONTENT) -> SignedBundle:
    text = order.encode(said)
    return SignedBundle(text, PRIVATE.sign(order.signed_bytes(text)), content)


def test_a_signed_order_and_its_bundle_are_taken() -> None:
    message = signed(made())
    assert order.verify(message, KEY, TOPIC) == made()
    said = order.check_content(made(), message.bundle)
    assert said is not None
    assert said.description.version == "1.0.0"


def test_an_order_without_a_bundle_is_for_the_nodes_own_file() -> None:
    said = made(sha256="", world="")
    assert order.verify(signed(said, b""), KEY, TOPIC) == said
    assert order.check_content(said, b"") is None


def refusal(message: SignedBundle, topic: Topic = TOPIC, key: bytes = KEY) -> str:
    with pytest.raises(BadDataError) as refused:
        order.check_content(order.verify(message, key, topic), message.bundle)
    return str(refused.value)


def test_an_order_that_is_not_signed_by_the_hub_is_refused() -> None:
    message = signed(made())
    assert "no signature" in refusal(msgspec.structs.replace(message, signature=b""))
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    assert "not of this hub's key" in refusal(message, key=other)
    tampered = message.order.replace('"release":7', '"release":8')
    assert "not of this hub's key" in refusal(msgspec.structs.replace(message, order=tampered))


def test_a_signature_for_anything_else_is_none_of_an_order() -> None:
    text = order.encode(made())
    message = SignedBundle(text, PRIVATE.sign(text.encode()), CONTENT)
    assert "not of this hub's key" in refusal(message)


@pytest.mark.parametrize(
    "topic", [Topic("attic", TopicKind.BUNDLE, "dht22"), Topic("pi4", TopicKind.BUNDLE, "oled")]
)
def test_an_order_for_another_node_or_plugin_is_refused(topic: Topic) -> None:
    assert "found an order for dht22 of pi4" in refusal(signed(made()), topic)


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x", b"", b"harvester bundle 1\n"])
def test_other_bytes_than_the_signed_ones_are_refused(content: bytes) -> None:
    assert "which is signed" in refusal(signed(made(), content))


def test_a_bundle_of_another_world_than_signed_is_refused() -> None:
    said = made(world="oled-plugin")
    assert "expected oled-plugin, as signed" in refusal(signed(said))


def test_a_bundle_that_unpacks_to_too_much_is_refused_before_it_is_unpacked() -> None:
    bomb = b"harvester bundle 1\n" + zlib.compress(b"\0" * (64 << 20), 9)
    assert len(bomb) < 100_000
    said = made(bomb)
    assert "unpacks to over" in refusal(signed(said, bomb))


def test_a_signed_bundle_that_is_no_bundle_is_refused() -> None:
    said = made(b"hello")
    assert "no bundle" in refusal(signed(said, b"hello"))


COMPONENT = b"\0asm\x0d\0\x01\0"


def component(**fields: object) -> BundleOrder:
    found = made(COMPONENT, form="component", size_bytes=8, contract="1.1.0", port=8443)
    return msgspec.structs.replace(found, **fields)


def test_a_component_is_compared_with_its_signed_size_and_digest(tmp_path: Path) -> None:
    file = tmp_path / "dht22.wasm"
    file.write_bytes(COMPONENT)
    assert order.check_content(component(), b"") is None
    order.check_component(component(), file)
    for content in (COMPONENT[:-1], COMPONENT + b"x", COMPONENT[:-1] + b"x"):
        file.write_bytes(content)
        with pytest.raises(BadDataError, match="which is signed"):
            order.check_component(component(), file)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"world": "sensors"}, "world: found 'sensors', expected one of .*; update this node"),
        ({"contract": "2.0.0"}, "contract: found version '2.0.0', .*; update this node"),
        ({"port": 0}, "without its sha256, size or port"),
        ({"size_bytes": 0}, "without its sha256, size or port"),
        ({"sha256": ""}, "without its sha256, size or port"),
    ],
)
def test_the_order_of_a_component_that_cannot_be_fetched_is_refused(
    fields: dict[str, object], sentence: str
) -> None:
    with pytest.raises(BadDataError, match=sentence):
        order.check_content(component(**fields), b"")
    with pytest.raises(BadDataError, match="found 8 bytes with the order of a component"):
        order.check_content(component(), COMPONENT)
