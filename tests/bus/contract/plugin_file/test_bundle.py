"""Bundles: the same source makes the same bytes, and what is damaged or too large is refused."""

import zlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.contract.description import FieldDescription, PluginDescription
from bus.contract.plugin_file import bundle, plugin_description
from bus.contract.plugin_file.bundle import BadBundleError, Bundle, Module

HEAD = b"harvester bundle 1\n"
LIGHT = Bundle(
    world="sensor-plugin",
    imports=["i2c"],
    exports=["sensor-logic"],
    description=PluginDescription(
        title="Light", fields={"b": FieldDescription(unit="lx"), "a": FieldDescription()}
    ),
    modules={"app": Module("0/app.py", "x = 1\n"), "a.b": Module("1/a/b.py", "y = 'ä'\n")},
)


def refusal(content: bytes) -> str:
    with pytest.raises(BadBundleError) as raised:
        bundle.parse(bundle.text_of(content, "light.bundle"), "light.bundle")
    said = str(raised.value)
    assert said.startswith("light.bundle: ")
    return said.removeprefix("light.bundle: ")


def packed(text: bytes) -> bytes:
    return HEAD + zlib.compress(text)


def test_what_was_packed_is_read_with_its_fields_in_the_authors_order(tmp_path: Path) -> None:
    file = tmp_path / "light.bundle"
    file.write_bytes(bundle.encode(LIGHT))
    content, _, said = bundle.read(file)
    assert said == LIGHT
    assert list(said.description.fields) == ["b", "a"]
    assert content == bundle.encode(said)
    assert plugin_description.read(file) == LIGHT.description


def test_modules_in_another_order_make_the_same_bytes() -> None:
    turned = msgspec.structs.replace(LIGHT, modules=dict(reversed(LIGHT.modules.items())))
    assert bundle.encode(turned) == bundle.encode(LIGHT)


def test_what_is_no_bundle_or_of_another_format_is_named() -> None:
    assert refusal(b"").startswith("found an empty file, expected a bundle")
    assert refusal(b"\0asm\x0d\0\x01\0").startswith("found no bundle, expected a bundle")
    assert refusal(b"harvester bundle 1").startswith("found no bundle, expected a bundle")
    assert refusal(b"harvester bundle 2\n").endswith("format 2, expected 1; update this node")


def test_a_bundle_that_is_cut_off_damaged_or_continued_is_refused() -> None:
    whole = bundle.encode(LIGHT)
    assert "cut off" in refusal(whole[:-10])
    assert "cut off or has more behind its end" in refusal(whole + b"x")
    assert "damaged" in refusal(whole[:30] + b"\0\0\0\0" + whole[34:])
    assert "damaged" in refusal(packed(b"\xff"))


def test_a_zip_bomb_and_a_file_of_10_mb_are_refused_before_they_are_unpacked() -> None:
    bomb = packed(b" " * 100_000_000)
    assert len(bomb) < bundle.MAX_FILE_BYTES
    assert refusal(bomb).startswith("unpacks to over 4194304 bytes")
    assert refusal(HEAD + bytes(10_000_000)).startswith("found over 1048576 bytes")


def test_a_source_that_is_too_large_is_not_packed() -> None:
    large = msgspec.structs.replace(LIGHT, modules={"app": Module("0/app.py", "#" * (4 << 20))})
    with pytest.raises(BadBundleError, match="bytes of source"):
        bundle.encode(large)


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        (
            "modules",
            {"app": ["/etc/passwd", ""]},
            "modules.app.file: found '/etc/passwd', expected a place such as 0/app.py, of at most",
        ),
        ("modules", {"app": ["0/app.py", 1]}, "modules.app.source: found 1, expected a string"),
        ("modules", {"app": ["0/app.py"]}, "modules.app.source: found nothing, expected a string"),
        ("modules", {"main": ["0/main.py", ""]}, "modules: found no 'app', expected one"),
        ("modules", {"../app": ["0/app.py", ""]}, "modules"),
        ("imports", ["I2C"], "imports[0]"),
        ("exports", 1, "exports"),
        (
            "world",
            "sensors-plugin",
            "world: found 'sensors-plugin', expected one of dht22-plugin, ",
        ),
    ],
)
def test_a_bad_value_is_refused_with_its_key(key: str, value: object, found: str) -> None:
    said = msgspec.json.decode(msgspec.json.encode(LIGHT))
    assert refusal(packed(msgspec.json.encode({**said, key: value}))).startswith(found)


@given(st.binary(max_size=300))
def test_garbage_raises_nothing_else(tail: bytes) -> None:
    for content in (tail, HEAD + tail, packed(tail)):
        refusal(content)
