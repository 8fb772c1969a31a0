from harvester.plugins.builder import signatures
from harvester.plugins.builder.signatures import ANY
from tests.support import PROJECT

WIT = """
interface probe {
    /// A comment with func: func(a: u8) -> string; in it.
    record part { sensor-id: string, at: tuple<u8, f64>, }
    enum color { red, green }
    read: func();
    read-all: func(from-pin: u8, parts: list<part>) -> result<_, string>;
    mix: func(c: color) -> option<list<u8>>;
}
"""
PART = ("record", "Part", (("sensor_id", ("string",)), ("at", ("tuple", ("u8",), ("f64",)))))


def test_functions_are_read_with_their_types() -> None:
    probe = signatures.interfaces(WIT)["probe"]
    assert probe.records == ["Part"]
    assert set(probe.functions) == {"read", "read_all", "mix"}
    read_all = probe.functions["read_all"]
    assert read_all.parameters == {"from_pin": ("u8",), "parts": ("list", PART)}
    assert read_all.result == ("result", ANY, ("string",))


def test_what_has_no_parameters_result_or_known_type_is_read_too() -> None:
    functions = signatures.interfaces(WIT)["probe"].functions
    assert (functions["read"].parameters, functions["read"].result) == ({}, ANY)
    assert functions["mix"].parameters == {"c": ANY}
    assert functions["mix"].result == ("option", ("list", ("u8",)))


def test_every_function_of_the_contract_has_known_types() -> None:
    found = signatures.interfaces((PROJECT / "wit" / "plugin.wit").read_text())
    poll = found["sensor-logic"].functions["poll"].result
    assert poll[0] == "result"
    assert poll[1][1][:2] == ("record", "Reading")
    named = {
        (interface, function): kind
        for interface, read in found.items()
        for function, signature in read.functions.items()
        for kind in signature.parameters.values()
    }
    assert ANY not in named.values()
