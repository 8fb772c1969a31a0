"""Loaded component: mapped from its compiled file, with its imports and exports."""

import logging
import re
from pathlib import Path
from typing import Self

from wasmtime import Engine, WasmtimeError
from wasmtime.component import (
    Component,
    ComponentInstanceType,
    ComponentType,
    FuncType,
    ResultType,
    String,
)

from bus.contract.description import PluginDescription
from bus.contract.plugin_file import component_section
from bus.contract.plugin_file.component_section import BadDescriptionError
from bus.contract.plugin_file.worlds import CONTRACT_VERSION
from node_agent.sandbox.errors import ComponentError, StaleError

logger = logging.getLogger(__name__)

PACKAGE = "harvester:plugin"
PACKAGE_VERSION = CONTRACT_VERSION
# Versions of one major number only add to each other, so a component of any of them fits.
_SAME_MAJOR = re.compile(r"1\.\d+\.\d+")
_WASI = "wasi:"
_EXPECTED = f"expected interfaces of {PACKAGE}@{PACKAGE_VERSION}"

# The functions of one interface; True where the result needs a tag, see `_needs_tag`.
Functions = dict[str, bool]


class LoadedComponent:
    """A component of this package's contract. Close it after its instances."""

    def __init__(self, engine: Engine, wasm: Path, compiled: Path, sha256: str) -> None:
        """Map `compiled`, made of `wasm` with that digest. Raises ComponentError, StaleError."""
        self.engine = engine
        self.sha256 = sha256
        self._wasm = wasm
        try:
            self.component = Component.deserialize_file(engine, str(compiled))
        except WasmtimeError as e:
            raise StaleError(f"{wasm}: its compiled file does not fit this host: {e}") from e
        self.imports: dict[str, Functions] = {}
        self.exports: dict[str, Functions] = {}
        # The full name of each interface, with the version that the component was built for.
        self.full_names: dict[str, str] = {}
        # Imports of the toolchain's own libraries, by their full names.
        self.wasi: list[str] = []
        try:
            self._read_interfaces(wasm)
        except ComponentError:
            self.close()
            raise

    @property
    def runs_as(self) -> str:
        return "pulley64 bytecode" if self.engine.is_pulley() else "native code"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.component.close()

    def description(self) -> PluginDescription:
        """Return what the author says; an empty one where there is none or it is damaged."""
        try:
            return component_section.read(self._wasm) or PluginDescription()
        except (BadDescriptionError, OSError) as e:
            logger.warning("no description: %s", e)
            return PluginDescription()

    def _read_interfaces(self, wasm: Path) -> None:
        with self.component.type as kind:
            self._read_type(kind, wasm)

    def _read_type(self, kind: ComponentType, wasm: Path) -> None:
        for name, extern in kind.imports(self.engine).items():
            interface = _interface(name)
            if name.startswith(_WASI):
                self.wasi.append(name)
            elif interface is None:
                raise ComponentError(f"{wasm}: imports {name}; {_EXPECTED}")
            else:
                self.imports[interface] = _functions(self.engine, extern.ty)
                self.full_names[interface] = name
        # The toolchain exports instances of its own beside the world's.
        for name, extern in kind.exports(self.engine).items():
            interface = _interface(name)
            if interface is not None:
                self.exports[interface] = _functions(self.engine, extern.ty)
                self.full_names[interface] = name
        if not self.exports:
            found = ", ".join(kind.exports(self.engine)) or "nothing"
            raise ComponentError(f"{wasm}: exports {found}; {_EXPECTED}")


def _interface(name: str) -> str | None:
    """Return the short name of an interface of our package and major version, else None."""
    package, slash, rest = name.partition("/")
    interface, _, version = rest.partition("@")
    ours = slash and package == PACKAGE and _SAME_MAJOR.fullmatch(version)
    return interface if ours else None


def _functions(engine: Engine, item: object) -> Functions:
    if not isinstance(item, ComponentInstanceType):
        return {}
    types = {name: extern.ty for name, extern in item.exports(engine).items()}
    return {name: _needs_tag(kind) for name, kind in types.items() if isinstance(kind, FuncType)}


def _needs_tag(function: FuncType) -> bool:
    """Return whether ok and err are both strings, so that a bare value could be either."""
    result = function.result
    return (
        isinstance(result, ResultType)
        and isinstance(result.ok, String)
        and isinstance(result.err, String)
    )
