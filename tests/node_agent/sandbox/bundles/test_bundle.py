"""Bundles in the sandbox: what they find, what they are refused, how they fail."""

import hashlib
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bus.contract.description import PluginDescription
from bus.contract.plugin_file import bundle
from bus.contract.plugin_file.bundle import Bundle, Module
from node_agent.sandbox.bundles.bundle import LoadedBundle
from node_agent.sandbox.bundles.code_cache import CodeCache
from node_agent.sandbox.errors import ComponentError, PluginError, PluginTimeoutError
from node_agent.sandbox.instance import Err, PluginInstance
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.runtime import Runtime
from tests.built_components import CACHE, packed
from tests.support import PATIENT_S, PROJECT

LIMITS = Limits(PATIENT_S, load_deadline_s=PATIENT_S)
HEAD = """import sys
from wit_world import exports
from wit_world.exports.sensor_logic import Reading


def told(**values):
    return [Reading("told", 1, [(name, float(value)) for name, value in values.items()])]


class SensorLogic(exports.SensorLogic):
    def poll(self):
"""
Make = Callable[..., LoadedBundle]


@pytest.fixture(scope="module", autouse=True)
def runtime_is_built() -> None:
    packed(PROJECT / "tests" / "components")


@pytest.fixture
def make(runtime: Runtime, tmp_path: Path) -> Make:
    """Return a function that loads a bundle of modules by name; `app` is the body of `poll`."""

    def made(app: str = "return told(one=1)", *, head: str = HEAD, **modules: str) -> LoadedBundle:
        body = "".join(f"        {line}\n" for line in app.splitlines())
        imports = modules.pop("imports", "").split()
        texts = {"app": head + body, **modules}
        content = bundle.encode(
            Bundle(
                world="sensor-plugin",
                imports=imports,
                exports=["sensor-logic"],
                description=PluginDescription(),
                modules={name: Module(f"0/{name}.py", text) for name, text in texts.items()},
            )
        )
        file = tmp_path / f"{hashlib.sha256(content).hexdigest()[:8]}.bundle"
        file.write_bytes(content)
        loaded = runtime.load(file)
        assert isinstance(loaded, LoadedBundle)
        return loaded

    return made


def unheard(_line: str) -> None: ...


def refuse(*_: object) -> Err:
    return Err("not granted")


I2C = {"i2c": {"transfer": refuse}}


def poll(loaded: LoadedBundle, imports: Any = None, limits: Limits = LIMITS) -> dict[str, float]:
    """Return the values of a poll of a fresh instance, by name."""
    with PluginInstance(loaded, imports or {}, limits, unheard) as instance:
        polled = instance.call("sensor-logic", "poll")
        assert not isinstance(polled, str), polled
        return dict(polled[0].values)


def failure(loaded: LoadedBundle, imports: Any = None, limits: Limits = LIMITS) -> PluginError:
    with pytest.raises(PluginError) as raised:
        poll(loaded, imports, limits)
    return raised.value


def test_a_module_of_its_own_goes_before_one_of_the_standard_library(make: Make) -> None:
    app = "import calendar, statistics\n"
    app += "return told(own=calendar.X, mean=statistics.mean([1, 3]))"
    own = make(app, calendar="X = 7\n")
    assert poll(own) == {"own": 7.0, "mean": 2.0}


def test_a_reading_has_the_attributes_of_the_contract_alone(make: Make) -> None:
    app = 'made = Reading("told", 1, [])\n'
    app += (
        'return told(is_plain=vars(made) == {"sensor_id": "told", "timestamp_ms": 1, "values": []})'
    )
    assert poll(make(app)) == {"is_plain": 1.0}


@pytest.mark.parametrize("call", ["breakpoint()", "import pdb; pdb.set_trace()"])
def test_a_debugger_which_packages_import_says_that_it_has_no_terminal(
    make: Make, call: str
) -> None:
    assert "a debugger needs a terminal" in str(failure(make(f"{call}\nreturn told(one=1)")))


def test_the_rest_of_the_standard_library_and_codecs_are_found_when_they_are_asked_for(
    make: Make,
) -> None:
    app = (
        "import configparser, decimal, difflib, tomllib, xml.etree.ElementTree as tree\n"
        'text = b"\\x8a".decode("cp437") + b"\\xe4".decode("iso8859_15")\n'
        'text += "a".encode("utf-16").hex()\n'
        'return told(is_right=text == "èäfffe6100", n=len(tree.fromstring("<a><b/></a>")))'
    )
    assert poll(make(app)) == {"is_right": 1.0, "n": 1.0}


@pytest.mark.parametrize(
    "module", ["bz2", "lzma", "ctypes", "_ssl", "mmap", "fcntl", "curses", "readline", "numpy"]
)
def test_what_reaches_beyond_the_sandbox_cannot_be_imported(make: Make, module: str) -> None:
    said = str(failure(make(f"import {module}\nreturn told(x=1)")))
    assert said.startswith(("ModuleNotFoundError: No module named", "ImportError"))
    assert "(app.py:12)" in said


@pytest.mark.parametrize(
    "attack",
    [
        'open("/etc/passwd")',
        'open("/tmp/x", "w")',
        'import os; os.listdir("/")',
        'import os; os.environ["HOME"]',
        "import os; os.fork()",
        'import subprocess; subprocess.run(["ls"])',
        'import socket; socket.create_connection(("127.0.0.1", 80))',
        "import threading; threading.Thread(target=print).start()",
    ],
)
def test_files_processes_network_and_environment_are_not_there(make: Make, attack: str) -> None:
    assert failure(make(f"{attack}\nreturn told(x=1)"))


def test_an_interface_that_a_bundle_does_not_declare_is_not_linked(make: Make) -> None:
    app = 'import importlib\ni2c = importlib.import_module("wit_world.imports.i2c")\n'
    app += 'try:\n    i2c.transfer(1, "", 1)\nexcept BaseException:\n    pass\nreturn told(x=1)'
    # It traps even where the host would offer the function.
    said = str(failure(make(app), I2C))
    assert said == "calls i2c.transfer, which its bundle does not import"


def test_a_bundle_that_declares_less_than_it_imports_is_no_way_around_grants(make: Make) -> None:
    honest = make("return told(x=1)", imports="i2c spi")
    assert sorted(honest.imports) == ["i2c", "spi"]
    with pytest.raises(ComponentError, match="imports spi, which no host offers"):
        PluginInstance(honest, I2C, LIMITS, unheard)


@pytest.mark.parametrize("name", ["plugin-source", "bundle-loader", "wasi-cli", "nothing"])
def test_what_no_contract_has_cannot_be_declared(make: Make, name: str) -> None:
    with pytest.raises(ComponentError, match=f"imports {name}, which this node's runtime does not"):
        make(imports=name)


def test_two_bundles_do_not_see_each_other(make: Make) -> None:
    app = 'import builtins, json\nseen = hasattr(builtins, "mark")\nbuiltins.mark = json.mark = 1\n'
    app += "return told(seen=seen)"
    first, second = make(app), make(f"{app}  # another")
    with PluginInstance(first, {}, LIMITS, unheard) as one:
        assert dict(one.call("sensor-logic", "poll")[0].values) == {"seen": 0.0}
        assert dict(one.call("sensor-logic", "poll")[0].values) == {"seen": 1.0}
        assert poll(second) == poll(first) == {"seen": 0.0}


def test_a_mistake_of_syntax_is_shown_with_file_line_and_caret(make: Make) -> None:
    error = failure(make("return driver.x", head=f"import driver\n{HEAD}", driver="x = (\n"))
    assert str(error) == "SyntaxError: '(' was never closed (driver.py:1)"
    assert error.traceback.splitlines()[-4:] == [
        '  File "/0/driver.py", line 1',
        "    x = (",
        "        ^",
        "SyntaxError: '(' was never closed",
    ]


def test_a_mistake_that_is_found_after_parsing_is_shown_with_its_line_and_a_caret(
    make: Make,
) -> None:
    error = failure(make(head=f"def f():\n    pass\n    break\n{HEAD}"))
    assert str(error) == "SyntaxError: 'break' outside loop (app.py:3)"
    assert error.traceback.splitlines()[-4:] == [
        '  File "/0/app.py", line 3',
        "    break",
        "    ^^^^^",
        "SyntaxError: 'break' outside loop",
    ]


def test_statements_that_are_nested_too_deep_are_told_with_their_file(make: Make) -> None:
    chain = "".join(f"elif x == {number}:\n    y = {number}\n" for number in range(500))
    error = failure(
        make(
            "return driver.x",
            head=f"import driver\n{HEAD}",
            driver=f"x = 1\nif x:\n    y = 0\n{chain}",
        )
    )
    assert str(error) == (
        "SyntaxError: its statements are nested too deep, by hundreds of elif for example "
        "(driver.py:1)"
    )


def test_a_line_that_should_be_indented_has_a_caret(make: Make) -> None:
    head = f"class X:\n    def f(self):\nx = 1\n{HEAD}"
    assert failure(make(head=head)).traceback.splitlines()[-4:-1] == [
        '  File "/0/app.py", line 3',
        "    x = 1",
        "    ^^^^^",
    ]


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (
            'return [Reading("x", 1, [("é", None)])]',
            [
                '    return [Reading("x", 1, [("é", None)])]',
                "            ~~~~~~~^^^^^^^^^^^^^^^^^^^^^^^",
            ],
        ),
        (
            "found = told(x=1)\nreturn {found[0].sensor_id: 1}",
            ["    return {found[0].sensor_id: 1}", "           ^^^^^^^^^^^^^^^^^^^^^^^"],
        ),
        ("pass", ["    pass", "    ^^^^"]),
        ("yield 1", ["    def poll(self):", "    ^^^^^^^^^^^^^^^"]),
        ("raise KeyError(1)", ["    raise KeyError(1)", "    ^^^^^^^^^^^^^^^^^"]),
    ],
)
def test_what_poll_returns_wrong_is_shown_with_its_line_and_a_caret(
    make: Make, body: str, shown: list[str]
) -> None:
    lines = failure(make(body)).traceback.splitlines()
    assert lines[1].startswith('  File "/0/app.py", line ')
    assert lines[2:4] == shown


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (
            HEAD.replace("poll(self)", "poll(self, more)"),
            (
                "TypeError: SensorLogic.poll() missing 1 required positional argument: 'more' "
                "(app.py:11)"
            ),
        ),
        (
            HEAD.replace("    def poll", "    def __init__(self, more): ...\n    def poll"),
            (
                "TypeError: SensorLogic.__init__() missing 1 required positional argument: 'more' "
                "(app.py:11)"
            ),
        ),
        (
            HEAD.replace("def poll", "async def poll"),
            (
                "TypeError: poll(): found a coroutine, as the function is `async`, expected a list "
                "(app.py:11)"
            ),
        ),
    ],
)
def test_a_function_that_cannot_be_called_is_named_with_its_line(
    make: Make, head: str, said: str
) -> None:
    assert str(failure(make(head=head))) == said


def test_a_fault_is_shown_with_the_authors_lines(make: Make) -> None:
    error = failure(make("value = {}\nreturn value['missing']"))
    assert str(error) == "KeyError: 'missing' (app.py:13)"
    lines = error.traceback.splitlines()
    assert lines[1:3] == ['  File "/0/app.py", line 13, in poll', "    return value['missing']"]
    assert "^^^" in lines[3]
    assert "harvester_" not in error.traceback


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("class Sensor:\n    def poll(self):\n", "TypeError: found no class SensorLogic, expected"),
        (
            (
                "from wit_world import exports\n"
                "class SensorLogic(exports.SensorLogic):\n    def p(self):\n"
            ),
            "TypeError: class SensorLogic has no poll() (app.py:2)",
        ),
    ],
)
def test_a_class_or_function_that_is_missing_is_named_with_its_place(
    make: Make, head: str, said: str
) -> None:
    assert str(failure(make(head=head))).startswith(said)


@pytest.mark.parametrize(
    "head",
    [
        HEAD.replace("class SensorLogic(exports.", "class Sensor(exports.").replace(
            "\n\ndef told", "\n\ndef SensorLogic():\n    return Sensor()\n\n\ndef told"
        ),
        HEAD.replace(
            "(exports.SensorLogic):\n    def poll(self)",
            (":\n    def __init__(self):\n        self.poll = self.read\n    def read(self)"),
        ),
    ],
    ids=["function that makes it", "attribute of the instance"],
)
def test_a_plugin_may_get_its_function_when_it_is_made(make: Make, head: str) -> None:
    assert poll(make(head=head)) == {"one": 1.0}


def test_the_host_is_not_called_while_a_bundle_is_loaded(make: Make) -> None:
    head = f'from wit_world.imports import i2c\ni2c.transfer(1, "", 1)\n{HEAD}'
    said = str(failure(make(head=head, imports="i2c"), I2C))
    assert said.startswith("RuntimeError: calls i2c.transfer() while it is loaded")
    assert said.endswith("(app.py:2)")


def test_a_load_without_end_and_one_without_bounds_are_cut_off(make: Make) -> None:
    impatient = msgspec.structs.replace(LIMITS, load_deadline_s=0.5)
    endless = make(head=f"while True: pass\n{HEAD}")
    with pytest.raises(PluginTimeoutError, match=r"longer than its deadline of 0\.5 s"):
        poll(endless, limits=impatient)
    greedy = make(head=f"held = [bytearray(1 << 20) for _ in range(1000)]\n{HEAD}")
    assert "needed more memory than its limit of 32 MB" in str(failure(greedy))


def test_a_module_that_exits_says_where(make: Make) -> None:
    leaving = make(head=f"import sys\nsys.exit(3)\n{HEAD}")
    assert str(failure(leaving)) == "called sys.exit (app.py:2)"


def test_a_deep_recursion_is_told_in_few_lines(make: Make) -> None:
    head = HEAD.replace("class Sensor", "def down(n):\n    return down(n + 1)\n\n\nclass Sensor")
    error = failure(make("return down(0)", head=head))
    assert str(error).startswith("RecursionError")
    assert len(error.traceback.splitlines()) < 40


def test_code_is_kept_by_the_digest_of_the_bundle_and_damaged_code_is_compiled_again(
    make: Make,
) -> None:
    loaded = make(f"return told(x=2)  # {id(make)}")
    kept = list(CACHE.glob(f"{loaded.sha256}-*.code"))
    assert kept == []
    assert poll(loaded) == {"x": 2.0}
    (kept_file,) = CACHE.glob(f"{loaded.sha256}-*.code")
    whole = kept_file.read_bytes()
    for damage in (b"", b"AAAA", b"\xff\xff", whole[:100]):
        kept_file.write_bytes(damage)
        assert poll(loaded) == {"x": 2.0}
    kept_file.unlink()


def test_a_guest_can_keep_neither_too_much_nor_what_is_no_text(tmp_path: Path) -> None:
    code = CodeCache(tmp_path, "ab", "cd")
    code.keep("A" * (5 << 20))
    code.keep("ä")
    assert code.get() is None
    code.keep("AAAA")
    assert code.get() == "AAAA"


def test_code_of_many_bundles_is_bounded_and_the_newest_is_kept(tmp_path: Path) -> None:
    kept = [CodeCache(tmp_path, f"{number:02x}", "cd") for number in range(12)]
    for number, code in enumerate(kept):
        code.keep("A" * (4 << 20))
        (written,) = tmp_path.glob(f"{number:02x}-*")
        os.utime(written, (number, number))
    assert [code.get() is not None for code in kept] == [False] * 4 + [True] * 8


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "found an empty file, expected a bundle"),
        (b"harvester bundle 1\n" + bytes(10_000_000), "found over 1048576 bytes"),
        (b"harvester bundle 1\n" + zlib.compress(bytes(50_000_000)), "unpacks to over 4194304"),
        (b"harvester bundle 1\n" + zlib.compress(b"{}")[:-3], "the bundle is cut off"),
    ],
)
def test_a_file_that_is_no_bundle_is_refused_with_a_sentence(
    runtime: Runtime, tmp_path: Path, content: bytes, said: str
) -> None:
    file = tmp_path / "bad.bundle"
    file.write_bytes(content)
    with pytest.raises(ComponentError) as raised:
        runtime.load(file)
    assert str(raised.value).startswith(f"{file}: {said}")


def test_a_node_without_the_runtime_says_what_to_run(tmp_path: Path) -> None:
    file = tmp_path / "x.bundle"
    with (
        Runtime(tmp_path / "cache", LIMITS, bundle_runtime=tmp_path / "none.wasm") as runtime,
        pytest.raises(ComponentError, match="harvester plugins runtime"),
    ):
        runtime.load(file)
