"""The description in a component: appended by the builder, read by everyone else."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.contract.description import FieldDescription, PluginDescription
from bus.contract.plugin_file import component_section
from bus.contract.plugin_file.component_section import BadDescriptionError

# The smallest component: a header and no section.
EMPTY = b"\0asm\x0d\0\x01\0"
LIGHT = PluginDescription(title="Light", fields={"illuminance": FieldDescription(unit="lx")})


def component(tmp_path: Path, content: bytes) -> Path:
    wasm = tmp_path / "light.wasm"
    wasm.write_bytes(content)
    return wasm


def test_what_was_appended_is_read(tmp_path: Path) -> None:
    wasm = component(tmp_path, component_section.append(EMPTY, LIGHT))
    assert component_section.read(wasm) == LIGHT


def test_the_last_description_counts(tmp_path: Path) -> None:
    first = component_section.append(EMPTY, PluginDescription(title="old"))
    wasm = component(tmp_path, component_section.append(first, LIGHT))
    assert component_section.read(wasm) == LIGHT


def test_a_component_without_one_has_none(tmp_path: Path) -> None:
    assert component_section.read(component(tmp_path, EMPTY)) is None


@pytest.mark.parametrize(
    "content", [b"", b"\0asm\x01\0\0\0", EMPTY + b"\0\x7f", EMPTY + b"\0\x80\x80\x80\x80\x80\x01"]
)
def test_a_damaged_component_is_named(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BadDescriptionError, match=r"light\.wasm"):
        component_section.read(component(tmp_path, content))


def test_a_bad_description_is_refused_with_its_place(tmp_path: Path) -> None:
    spoiled = component_section.append(EMPTY, LIGHT).replace(b'"lx"', b"1234")
    with pytest.raises(BadDescriptionError, match="unit"):
        component_section.read(component(tmp_path, spoiled))


@given(st.binary(max_size=200))
def test_garbage_raises_nothing_else(tmp_path_factory: pytest.TempPathFactory, tail: bytes) -> None:
    wasm = component(tmp_path_factory.mktemp("garbage"), EMPTY + tail)
    try:
        component_section.read(wasm)
    except BadDescriptionError:
        return
