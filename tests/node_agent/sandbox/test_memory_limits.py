"""Memories, tables and instances of a component, which count together against one limit."""

from pathlib import Path

import pytest
from wasmtime import wat2wasm

from node_agent.sandbox.errors import ComponentError
from node_agent.sandbox.instance import PluginInstance
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.runtime import Runtime
from tests.support import PATIENT_S, PROJECT

BY_HAND = (PROJECT / "tests/components/by-hand/sensor.wat").read_text()
LIMITS = Limits(PATIENT_S, memory_mb=32)
MODULE = '(memory (export "memory") 1)'
BODY = ";; result<list<reading>, string> at 16"


def start(runtime: Runtime, directory: Path, wat: str) -> PluginInstance:
    wasm = directory / "by-hand.wasm"
    wasm.write_bytes(wat2wasm(wat))
    return PluginInstance(runtime.load(wasm), {}, LIMITS, lambda _line: None)


def answer(runtime: Runtime, directory: Path, wat: str) -> float:
    """Return the value that the component's only reading has."""
    with start(runtime, directory, wat) as instance:
        (reading,) = instance.call("sensor-logic", "poll")
        ((_, value),) = reading.values
        return float(value)


def growing(statement: str, declared: str = "") -> str:
    """Return the component with the result of `statement`, an i32, as its value."""
    grown = f"(f64.store (i32.const 136) (f64.convert_i32_s {statement}))"
    wat = BY_HAND.replace("(f64.store (i32.const 136) (f64.const 42))", grown)
    return wat.replace(MODULE, f"{MODULE} {declared}")


def with_modules(number: int, content: str) -> str:
    """Return the component with so many more core instances, each of a module of `content`."""
    more = f"(core module $more {content})"
    more += "".join(f"(core instance $more{n} (instantiate $more))" for n in range(number))
    return BY_HAND.replace("(core module $module", f"{more} (core module $module")


def test_a_component_made_by_hand_runs(runtime: Runtime, tmp_path: Path) -> None:
    assert answer(runtime, tmp_path, BY_HAND) == 42.0


def test_a_memory_grows_to_its_limit_and_no_further(runtime: Runtime, tmp_path: Path) -> None:
    assert answer(runtime, tmp_path, growing("(memory.grow (i32.const 480))")) == 1.0
    assert answer(runtime, tmp_path, growing("(memory.grow (i32.const 512))")) == -1.0


@pytest.mark.parametrize("kind", ["funcref", "externref"])
def test_a_table_does_not_grow_past_the_limit(runtime: Runtime, tmp_path: Path, kind: str) -> None:
    null = "func" if kind == "funcref" else "extern"
    for size, before in ((1_000, 0.0), (90_000_000, -1.0)):
        grown = growing(f"(table.grow (ref.null {null}) (i32.const {size}))", f"(table 0 {kind})")
        assert answer(runtime, tmp_path, grown) == before


REFUSED = {
    "8 memories of 31 MB": (with_modules(8, "(memory 496)"), "asks for memory number 2"),
    "one large memory": (
        BY_HAND.replace('(memory (export "memory") 1)', '(memory (export "memory") 513)'),
        "asks for a memory of 513 pages",
    ),
    "a large table": (with_modules(1, "(table 90000000 funcref)"), "a table of 90000000 elements"),
    "100 tables": (with_modules(100, "(table 10000 funcref)"), "asks for table number 5"),
    "100 instances": (with_modules(100, ""), "asks for instance number 65"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_component_that_asks_for_more_than_the_limit_does_not_start(
    runtime: Runtime, tmp_path: Path, case: str
) -> None:
    wat, said = REFUSED[case]
    with pytest.raises(ComponentError, match=said) as raised:
        start(runtime, tmp_path, wat)
    assert "memory_mb = 32" in str(raised.value)
