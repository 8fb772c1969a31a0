"""Loaded bundle: a plugin's source, and the runtime component that runs it.

The runtime is mapped once for all bundles. What a bundle does not declare is not linked for it, so
that a call traps, whatever its source does.
"""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from wasmtime import WasmtimeError

from bus.contract.description import PluginDescription
from bus.contract.plugin_file import bundle
from bus.contract.plugin_file.bundle import BadBundleError
from node_agent.sandbox.bundles.code_cache import CodeCache
from node_agent.sandbox.component import Functions, LoadedComponent
from node_agent.sandbox.errors import ComponentError

SOURCE = "plugin-source"
LOADER = "bundle-loader"


class LoadedBundle:
    """A bundle on the runtime component, with the imports and exports that it declares."""

    def __init__(self, runtime: LoadedComponent, path: Path, cache_dir: Path) -> None:
        """Raises ComponentError where the file is no bundle that this runtime can run."""
        try:
            content, _, said = bundle.read(path)
        except OSError as e:
            raise ComponentError(f"{path}: {e.strerror}; expected a bundle") from e
        except BadBundleError as e:
            raise ComponentError(str(e)) from e
        self._path = path
        # Compressed, since it is only read when an instance starts.
        self._content = content
        self._description = said.description
        self.packages = said.packages
        self.engine, self.component = runtime.engine, runtime.component
        self.full_names = runtime.full_names
        self.wasi = runtime.wasi
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.runtime_sha256 = runtime.sha256
        # Whether instances are given code that was compiled before, and whether the last one was.
        self.gives_code = True
        self.had_code = False
        self._code = CodeCache(cache_dir, self.sha256, runtime.sha256)
        self.imports = _declared(path, "imports", said.imports, runtime.imports)
        self.exports = _declared(path, "exports", said.exports, runtime.exports)
        self._undeclared = {
            name: functions
            for name, functions in runtime.imports.items()
            if name not in self.imports and name != SOURCE
        }

    @property
    def content(self) -> bytes:
        """The bundle's file."""
        return self._content

    @property
    def has_code(self) -> bool:
        """Whether its code was compiled before."""
        return self._code.get() is not None

    @property
    def runs_as(self) -> str:
        kind = "bytecode" if self.engine.is_pulley() else "native code"
        return f"a bundle in the runtime's {kind}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Do nothing: the runtime component is the node's, and stays open for other bundles."""

    def description(self) -> PluginDescription:
        return self._description

    def further_imports(self) -> dict[str, Mapping[str, Callable[..., Any]]]:
        """Return the host functions of what the runtime imports beside the bundle's own imports.

        The bundle itself, for one instance; and traps.
        """
        return {SOURCE: self._source()} | {
            interface: {function: _trap(interface, function) for function in functions}
            for interface, functions in self._undeclared.items()
        }

    def _source(self) -> Mapping[str, Callable[..., Any]]:
        kept = False

        def keep(code: str) -> None:
            nonlocal kept
            # Once for an instance, so that no guest wears the disk out.
            if not kept:
                kept = True
                self._code.keep(code)

        def code() -> str | None:
            found = self._code.get() if self.gives_code else None
            self.had_code = found is not None
            return found

        return {
            "bundle": lambda: bundle.text_of(self._content, self._path),
            "code": code,
            "keep-code": keep,
        }


def _trap(interface: str, function: str) -> Callable[..., Any]:
    def called(*_arguments: object) -> None:
        # wasmtime-py makes a trap of its own errors only; others land in a process-wide variable.
        raise WasmtimeError(f"calls {interface}.{function}, which its bundle does not import")

    return called


def _declared(
    path: Path, what: str, names: list[str], known: Mapping[str, Functions]
) -> dict[str, Functions]:
    known = {name: functions for name, functions in known.items() if name not in (SOURCE, LOADER)}
    for name in names:
        if name not in known:
            raise ComponentError(
                f"{path}: {what} {name}, which this node's runtime does not have; expected some "
                f"of {', '.join(known)}"
            )
    if what == "exports" and not names:
        raise ComponentError(f"{path}: exports nothing, expected some of {', '.join(known)}")
    return {name: known[name] for name in names}
