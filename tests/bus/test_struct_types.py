"""Types are built before threads use them: msgspec crashes where two threads build one."""

import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from bus import struct_types
from tests.support import PROJECT, settings

# Times at which msgspec evaluated the annotation below.
built: list[str] = []


def noted() -> type[int]:
    built.append(threading.current_thread().name)
    return int


class Inner(msgspec.Struct):
    """A type of which one can see when msgspec builds it."""

    number: "noted()"  # type: ignore[valid-type]


class Outer(msgspec.Struct):
    inner: list[Inner]


# Runs a program until it prepares its types.
PROGRAM = """
import importlib, sys, threading
from bus import struct_types

def prepare():
    print(*(thread.name for thread in threading.enumerate()))
    sys.exit(7)

struct_types.prepare = prepare
importlib.import_module(sys.argv.pop(1)).main()
"""


def test_the_first_decoding_finds_every_type_built() -> None:
    struct_types.prepare()
    built.clear()
    assert msgspec.json.decode(b'{"inner": [{"number": 1}]}', type=Outer).inner[0].number == 1
    assert built == []


def test_a_type_that_cannot_be_decoded_is_passed_over() -> None:
    class Undecodable(msgspec.Struct):
        either: Inner | Outer

    struct_types.prepare()
    assert Undecodable(Inner(1)).either == Inner(1)


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("node_agent.cli", ["--role", "spoke", "--simulate"]),
        ("pizero_native.cli", ["--simulate"]),
        ("hub_app.cli", []),
        ("hub_app.cli", ["--role", "fleet", "--set", "fleet.url=postgresql://nobody@127.0.0.1/x"]),
    ],
    ids=["node-agent", "pizero-native", "hub-app", "fleet"],
)
def test_a_program_prepares_its_types_before_it_starts_a_thread(
    module: str, arguments: list[str], tmp_path: Path
) -> None:
    state = settings(storage__state_dir=tmp_path / "state", storage__cache_dir=tmp_path / "cache")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, module, *arguments, *state],
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT,
    )
    assert (done.returncode, done.stdout) == (7, "MainThread\n"), done.stderr
