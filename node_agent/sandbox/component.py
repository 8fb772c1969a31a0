"""Loaded component: mapped from its compiled file, with its imports and exports."""

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

from node_agent.sandbox.errors import ComponentError, StaleError

PACKAGE = "harvester:plugin"
PACKAGE_VERSION = "1.0.0"
_WASI = "wasi:"
_EXPECTED = f"expected interfaces of {PACKAGE}@{PACKAGE_VERSION}"

# The functions of one interface; True where the result needs a tag, see `_needs_tag`.
Functions = dict[str, bool]


def qualified(interface: str) -> str:
    """Return the name under which a component imports or exports one of our interfaces."""
    return f"{PACKAGE}/{interface}@{PACKAGE_VERSION}"


class LoadedComponent:
    """A component of this package's contract. Close it after its instances."""

    def __init__(self, engine: Engine, wasm: Path, compiled: Path, sha256: str) -> None:
        """Map `compiled`, made of `wasm` with that digest. Raises ComponentError, StaleError."""
        self.engine = engine
        self.sha256 = sha256
        try:
            self.component = Component.deserialize_file(engine, str(compiled))
        except WasmtimeError as e:
            raise StaleError(f"{wasm}: its compiled file does not fit this host: {e}") from e
        self.imports: dict[str, Functions] = {}
        self.exports: dict[str, Functions] = {}
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
        # The toolchain exports instances of its own beside the world's.
        for name, extern in kind.exports(self.engine).items():
            interface = _interface(name)
            if interface is not None:
                self.exports[interface] = _functions(self.engine, extern.ty)
        if not self.exports:
            found = ", ".join(kind.exports(self.engine)) or "nothing"
            raise ComponentError(f"{wasm}: exports {found}; {_EXPECTED}")


def _interface(name: str) -> str | None:
    """Return the short name of an interface of our package and version, else None."""
    package, slash, rest = name.partition("/")
    interface, _, version = rest.partition("@")
    ours = slash and (package, version) == (PACKAGE, PACKAGE_VERSION)
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
