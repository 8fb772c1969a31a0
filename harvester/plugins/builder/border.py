"""Entry module of a component, generated from its contract; see `guest/harvester_guest.py`."""

from pathlib import Path

from bus.contract.topics import NAME_PATTERN
from harvester.plugins.builder import contract, guest_modules, lazy_imports, least_world, signatures
from harvester.plugins.source import PluginSource

# Name of the entry module in the component.
ENTRY = "harvester_entry"
_ENTRY_SOURCE = """from componentize_py_types import Err
from harvester_checks import mistake
from harvester_guest import Contract, install
from harvester_names import refused

# The toolchain finds the plugin's classes here.
globals().update(install(Contract({}), mistake, refused, Err))
"""


def write(folder: Path, wit: str, source: PluginSource) -> None:
    """Write the entry module for `source`, and those it imports.

    `wit` holds the plugin's least world. Raises BuildError where a source is no Python.
    """
    folder.mkdir()
    modules = guest_modules.texts() | {ENTRY: entry_source(wit, source)}
    for module, text in modules.items():
        (folder / f"{module}.py").write_text(text, encoding="utf-8")


def entry_source(wit: str, source: PluginSource) -> str:
    """Return the entry module: types of imports and exports, and what to load at build."""
    interfaces = signatures.interfaces(wit)
    world = contract.read(wit).worlds[least_world.NAME]
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
    lazy, codecs = lazy_imports.find(source)
    loaded = [(i.module, i.names, f"/{i.place}/{i.file}", i.line, i.may_fail) for i in lazy]
    tables = ", ".join(map(repr, (imports, exports, loaded, codecs, NAME_PATTERN)))
    return _ENTRY_SOURCE.format(tables)
