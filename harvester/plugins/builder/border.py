"""Entry module of a component, generated from its contract; see `guest/harvester_guest.py`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bus.contract.topics import NAME_PATTERN
from harvester.plugins.builder import contract, guest_modules, least_world, signatures
from harvester.plugins.builder.imports import lazy_imports
from harvester.plugins.source import PluginSource

# Name of the entry module in the component.
ENTRY = "harvester_entry"
_ENTRY_SOURCE = """from componentize_py_types import Err
from harvester_checks import mistake
from harvester_guest import Checks, Contract, install
from harvester_names import refused

# The toolchain finds the plugin's classes here.
globals().update(install(Contract({}), Checks(mistake, refused, Err)))
"""
_RUNTIME_SOURCE = """import harvester_bundle
import harvester_stdlib
from componentize_py_types import Err
from harvester_checks import mistake
from harvester_guest import Checks, Contract, States, install_runtime
from harvester_names import refused
from harvester_state import BundleState, reason_of
from harvester_waits import mend
from wit_world.imports import plugin_source

harvester_stdlib.load(mend)
# The toolchain finds the classes of all exports here.
globals().update(
    install_runtime(
        Contract({}),
        Checks(mistake, refused, Err),
        lambda: harvester_bundle.load(plugin_source),
        States(BundleState, reason_of),
    )
)
"""
# A module that packs the standard library while the toolchain runs it, and is built no further.
PACK = "harvester_pack"
_PACK_SOURCE = """import harvester_stdlib

harvester_stdlib.pack()
raise SystemExit
"""


def write(folder: Path, wit: str, source: PluginSource) -> None:
    """Write the entry module for `source`, and those it imports.

    `wit` holds the plugin's least world. Raises BuildError where a source is no Python.
    """
    lazy, codecs = lazy_imports.find(source)
    loaded = [(i.module, i.names, f"/{i.place}/{i.file}", i.line, i.may_fail) for i in lazy]
    world = contract.read(wit).worlds[least_world.NAME]
    tables = (*_types(wit, world), loaded, codecs, NAME_PATTERN)
    _write(folder, _ENTRY_SOURCE.format(", ".join(map(repr, tables))), guest_modules.texts())


def write_runtime(folder: Path, wit: str, world: contract.World) -> None:
    """Write the entry module of the runtime component, and those it imports.

    `world` has the interfaces of the contract; `wit` holds them.
    """
    nothing: list[object] = []
    tables = (*_types(wit, world), nothing, nothing, NAME_PATTERN)
    entry = _RUNTIME_SOURCE.format(", ".join(map(repr, tables)))
    _write(folder, entry, {**guest_modules.runtime_texts(), PACK: _PACK_SOURCE})


def _write(folder: Path, entry: str, modules: Mapping[str, str]) -> None:
    folder.mkdir()
    for module, text in {**modules, ENTRY: entry}.items():
        (folder / f"{module}.py").write_text(text, encoding="utf-8")


def _types(wit: str, world: contract.World) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the types of the functions that a world imports and exports, as the guest has them."""
    interfaces = signatures.interfaces(wit)
    imports = {
        contract.module_name(name): {
            function: signature.parameters
            for function, signature in interfaces[name].functions.items()
        }
        for name in world.imports
    }
    exports = {
        contract.module_name(name): (
            contract.class_name(name),
            interfaces[name].records,
            {key: signature.result for key, signature in interfaces[name].functions.items()},
        )
        for name in world.exports
    }
    return imports, exports
