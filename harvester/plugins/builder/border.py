"""Files of the entry module that checks a plugin's values; see `guest/harvester_guest.py`."""

from pathlib import Path

from harvester.plugins.builder import contract, guest_modules, lazy_imports, least_world, signatures
from harvester.plugins.source import PluginSource

_CONTRACT = "harvester_contract"


def write(folder: Path, wit: str, source: PluginSource) -> None:
    """Write the entry module for `source` and the contract it checks.

    `wit` holds the plugin's least world. Raises BuildError where a source is no Python.
    """
    folder.mkdir()
    for module, text in guest_modules.texts().items():
        (folder / f"{module}.py").write_text(text, encoding="utf-8")
    (folder / f"{_CONTRACT}.py").write_text(contract_source(wit, source), encoding="utf-8")


def contract_source(wit: str, source: PluginSource) -> str:
    """Return the generated module: types of imports and exports, and what to load at build."""
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
    tables = {"IMPORTS": imports, "EXPORTS": exports, "LAZY_IMPORTS": loaded, "CODECS": codecs}
    return "".join(f"{name} = {value!r}\n" for name, value in tables.items())
