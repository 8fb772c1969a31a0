"""Architecture: imports point down without cycles, importing has no effects, folders stay small."""

import ast
import graphlib
import json
import subprocess
import sys
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ["bus", "broker", "harvester", "hub_app", "node_agent", "pizero_native"]
PLUGIN_DRIVERS = [
    *(f"plugins.bme680.{name}" for name in ("air_settings", "bands", "driver", "iaq", "sea_level")),
    "plugins.oled.driver",
]

# Imports everything named on the command line, and tells what came of it.
PROBE = """
import importlib, json, logging, signal, sys, threading

handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
before = set(sys.modules)
modules = [importlib.import_module(name) for name in sys.argv[1:]]
loaded = sorted(set(sys.modules) - before)

from bus.errors import HarvesterError

print(json.dumps({
    "loaded": loaded,
    "threads": [thread.name for thread in threading.enumerate()],
    "log_handlers": len(logging.getLogger().handlers),
    "signals": [n for n, handler in handlers.items() if signal.getsignal(n) != handler],
    "errors_apart": [
        f"{module.__name__}.{name}"
        for module in modules
        for name, thing in vars(module).items()
        if isinstance(thing, type) and issubclass(thing, BaseException)
        and thing.__module__ == module.__name__ and not issubclass(thing, HarvesterError)
    ],
}))
"""


def modules_of(package: str) -> list[str]:
    """Return the names of all modules of a package, found by file: nothing is imported."""
    folder = ROOT.joinpath(*package.split("."))
    files = [folder.with_suffix(".py")] if not folder.is_dir() else sorted(folder.rglob("*.py"))
    dotted = (".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files)
    return [name.removesuffix(".__init__") for name in dotted if not name.endswith("__main__")]


@cache
def imported(*modules: str) -> dict[str, Any]:
    """Return what importing `modules` in a fresh interpreter does."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *modules],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def loaded(*modules: str) -> set[str]:
    return set(imported(*modules)["loaded"])


def within(names: AbstractSet[str], *packages: str) -> set[str]:
    """Return those of `names` that are one of `packages` or inside it."""
    return {n for n in names if any(n == p or n.startswith(f"{p}.") for p in packages)}


def file_of(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def direct_imports(module: str) -> frozenset[str]:
    """Return what a module's source imports, inside functions and under TYPE_CHECKING, too."""
    return frozenset(imports_in(module))


def imports_in(module: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(file_of(module).read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


ALL_MODULES = frozenset(module for package in PACKAGES for module in modules_of(package))


def our_imports(module: str) -> set[str]:
    return direct_imports(module) & ALL_MODULES - {module}


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_has_no_effects(package: str) -> None:
    seen = imported(*modules_of(package))
    assert seen["threads"] == ["MainThread"]
    assert seen["log_handlers"] == 0
    assert seen["signals"] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_error_derives_from_the_one_root(package: str) -> None:
    assert imported(*modules_of(package))["errors_apart"] == []


# Each part with all that it may load of ours.
ARROWS = {
    "bus": ["bus"],
    "broker": ["bus", "broker"],
    "node_agent.hal": ["bus", "node_agent.hal"],
    "node_agent.schedule": ["node_agent.schedule"],
    "node_agent.sandbox": ["bus", "node_agent"],
    "node_agent": ["bus", "node_agent"],
    "hub_app": ["bus", "broker", "hub_app", "node_agent"],
    "pizero_native": [
        *("bus", "pizero_native", "plugins.bme680"),
        *(
            "node_agent.hal",
            "node_agent.descriptions",
            "node_agent.schedule",
            "node_agent.actuators.results",
        ),
        *("node_agent.plugins.store", "node_agent.plugins.state_saver"),
    ],
}


@pytest.mark.parametrize("part", ARROWS)
def test_imports_point_down_only(part: str) -> None:
    ours = within(loaded(*modules_of(part)), *PACKAGES, "plugins")
    parents = {"node_agent", "node_agent.actuators", "node_agent.plugins", "plugins"}
    assert ours - parents - within(ours, *ARROWS[part]) == set()


def test_the_hub_uses_nothing_of_the_agent_but_the_sandbox() -> None:
    used = {name for module in modules_of("hub_app") for name in direct_imports(module)}
    agent = within(used, "node_agent")
    assert agent == within(agent, "node_agent.sandbox")


# What only those who make accounts and certificates, or judge them, have to load.
SECRETS = ["argon2", "bcrypt", "cryptography"]
HEAVY = ["wasmtime", "amqtt", "starlette", "sse_starlette", "uvicorn"]


@pytest.mark.parametrize(
    ("part", "heavy"),
    [
        ("pizero_native", HEAVY),
        ("node_agent.hal", [*HEAVY, "paho", "smbus2", "RPi", "rpi_ws281x", "serial", "spidev"]),
        ("node_agent.schedule", [*HEAVY, "paho"]),
        ("node_agent", ["amqtt", "starlette", "sse_starlette", "uvicorn"]),
        ("broker", ["wasmtime", "starlette", "sse_starlette", "uvicorn"]),
        ("bus.client.node", [*HEAVY, *SECRETS]),
        ("pizero_native", SECRETS),
        ("node_agent", SECRETS),
        ("hub_app", ["bcrypt", "cryptography"]),
        ("bus.config.config_file", [*HEAVY, "paho"]),
        ("bus.contract.commands", [*HEAVY, "paho"]),
    ],
)
def test_what_a_part_does_not_need_it_does_not_load(part: str, heavy: list[str]) -> None:
    assert within(loaded(*modules_of(part)), *heavy) == set()


@pytest.mark.parametrize(
    ("library", "owner"),
    [
        ("paho", ["bus.client.connection"]),
        ("amqtt", ["broker.embedded.amqtt_seam"]),
        ("wasmtime", ["node_agent.sandbox"]),
        ("starlette", ["hub_app"]),
        ("icmplib", ["pizero_native.ping"]),
        ("argon2", ["broker.auth.passwords"]),
        ("bcrypt", ["broker.auth.passwords"]),
        (
            "cryptography",
            [
                "broker.auth.certificates",
                "broker.auth.bundle_signer",
                "bus.contract.plugin_file.ed25519",
            ],
        ),
    ],
)
def test_a_library_is_known_to_one_place(library: str, owner: list[str]) -> None:
    users = {m for m in ALL_MODULES if within(direct_imports(m), library)}
    assert users
    assert users - within(users, *owner) == set()


@pytest.mark.parametrize("driver", PLUGIN_DRIVERS)
def test_a_driver_stands_on_the_standard_library_alone(driver: str) -> None:
    imports = {name.partition(".")[0] for name in direct_imports(driver)}
    assert imports <= sys.stdlib_module_names


def test_nothing_built_and_no_secret_is_in_git() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    files = [Path(name) for name in listed.stdout.split("\0") if name]
    assert files
    built = {".wasm", ".cwasm", ".pyc", ".env"}
    assert [str(f) for f in files if f.suffix in built or f.name == ".env"] == []


def test_no_modules_import_each_other_in_a_cycle() -> None:
    sorter = graphlib.TopologicalSorter({m: our_imports(m) for m in ALL_MODULES})
    try:
        sorter.prepare()
    except graphlib.CycleError as e:
        pytest.fail(f"import cycle: {' -> '.join(e.args[1])}")


# Each may import itself and what is named here, at any place in a module.
BELOW: dict[str, set[str]] = {
    "bus": set(),
    "broker": {"bus"},
    "node_agent": {"bus"},
    "pizero_native": {"bus", "node_agent"},
    "hub_app": {"bus", "broker", "node_agent"},
    "harvester": {"bus", "broker", "node_agent", "pizero_native", "hub_app"},
}


@pytest.mark.parametrize("package", BELOW)
def test_a_package_imports_only_what_is_below_it(package: str) -> None:
    used = {name.partition(".")[0] for m in modules_of(package) for name in our_imports(m)}
    assert used - {package} - BELOW[package] == set()


MOST_ENTRIES = 16


def test_no_folder_is_crowded() -> None:
    folders = [folder for package in PACKAGES for folder in (ROOT / package, *folders_in(package))]
    crowded = {str(f.relative_to(ROOT)): len(entries(f)) for f in folders}
    assert {name: count for name, count in crowded.items() if count > MOST_ENTRIES} == {}


def folders_in(package: str) -> list[Path]:
    # Files of the page are no modules.
    found = [path for path in (ROOT / package).rglob("*") if path.is_dir()]
    return [path for path in found if not {"__pycache__", "page", "product"} & set(path.parts)]


def entries(folder: Path) -> list[Path]:
    modules = [file for file in folder.glob("*.py") if not file.name.startswith("__")]
    return modules + [path for path in folder.iterdir() if path.is_dir() and path.name[0] != "_"]


RIDDLES = ("What", "Who", "Whom", "Whose", "Where", "How", "Which", "Whether", "When", "Why")


def test_a_docstring_opens_with_the_name_of_the_thing() -> None:
    plugins = [f for f in (ROOT / "plugins").rglob("*.py") if not f.name.startswith("test_")]
    files = [*map(file_of, ALL_MODULES), *plugins]
    opened = {file: ast.get_docstring(ast.parse(file.read_bytes())) or "" for file in files}
    riddles = [f for f, text in opened.items() if text.partition(" ")[0].strip(",;:") in RIDDLES]
    assert [str(file.relative_to(ROOT)) for file in riddles] == []
