"""Loader of a bundle: imports modules from their source in the bundle's JSON.

It runs in the guest's Python, in the runtime component. Files are named as the builder names those
of a component: /0 is the plugin's folder, /1 the next of its Python path.
"""

import base64
import importlib.machinery
import json
import marshal
import re
import sys
from collections.abc import Iterator
from types import CodeType, ModuleType
from typing import Any, Protocol

# The module that has the plugin's classes.
MAIN = "app"


class Source(Protocol):
    """The host's functions of the interface `plugin-source`."""

    def bundle(self) -> str: ...
    def code(self) -> str | None: ...
    def keep_code(self, code: str) -> None: ...


def load(source: Source) -> tuple[ModuleType, list[str], list[str]]:
    """Import the bundle's main module.

    Return it, the interfaces that the bundle exports, and the names of its modules.
    """
    bundle = json.loads(source.bundle())
    kept = _decoded(source.code() or "")
    finder = BundleFinder(bundle["modules"], dict(kept), bundle.get("packages", []))
    sys.meta_path.insert(0, finder)
    # A plugin's own module goes before one of the standard library.
    for name in bundle["modules"]:
        if name not in sys.builtin_module_names:
            sys.modules.pop(name, None)
    # Unlike `importlib.import_module`, this leaves no frame of its own in a traceback.
    app = __import__(MAIN)
    if not kept:
        source.keep_code(base64.b64encode(marshal.dumps(finder.code)).decode())
    return app, bundle["exports"], list(bundle["modules"])


def _decoded(kept: str) -> dict[str, CodeType]:
    """Return code by module; none where a damaged file was kept."""
    try:
        code = marshal.loads(base64.b64decode(kept))  # noqa: S302 - the bundle's own, in its sandbox
    except (ValueError, EOFError, TypeError):
        return {}
    return code if isinstance(code, dict) else {}


def _compiled(source: str, file: str) -> CodeType:
    try:
        return compile(source, file, "exec", dont_inherit=True)
    except SyntaxError as error:
        # Of a mistake that is found after parsing, Python reads the line in the file.
        error.text = error.text or [*source.split("\n"), ""][(error.lineno or 1) - 1]
        raise
    except RecursionError:
        wrong = "its statements are nested too deep, by hundreds of elif for example"
        raise SyntaxError(wrong, (file, 1, 1, source.partition("\n")[0])) from None


def _normal(name: str) -> str:
    """Return a package's name as it is compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


class BundleFinder:
    """Finder and loader of the bundle's modules; `code` is what was compiled, by module.

    `packages` are distributions among them, such as `pynmea2 1.19.0`.
    """

    def __init__(
        self, modules: dict[str, list[Any]], code: dict[str, CodeType], packages: list[str]
    ) -> None:
        self._modules, self._packages = modules, packages
        self.code = code

    def find_spec(
        self, name: str, _path: object = None, _target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in self._modules:
            return None
        file, _, *rest = self._modules[name]
        spec = importlib.machinery.ModuleSpec(
            name,
            self,  # type: ignore[arg-type]
            origin=f"/{file}",
            is_package=bool(rest and rest[0]),
        )
        spec.has_location = True
        return spec

    def create_module(self, _spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        code = self.code.get(name)
        if code is None:
            file, source, *_ = self._modules[name]
            code = self.code[name] = _compiled(source, f"/{file}")
        exec(code, module.__dict__)  # noqa: S102 - the plugin itself

    def get_resource_reader(self, name: str) -> None:
        raise FileNotFoundError(f"a bundle has the modules of {name}, and no data files")

    def find_distributions(self, context: Any) -> Iterator[Any]:
        """Yield the packages that `importlib.metadata` looks for: their names and versions."""
        from importlib.metadata import Distribution  # noqa: PLC0415 - costs memory

        class Packaged(Distribution):
            """Package of a bundle, of which nothing but the metadata is known."""

            def __init__(self, said: str) -> None:
                self._said = said

            def read_text(self, filename: str) -> str | None:
                return self._said if filename == "METADATA" else None

            def locate_file(self, path: Any) -> Any:
                raise FileNotFoundError(f"a bundle has no file {path}")

        for package in self._packages:
            name, _, version = package.partition(" ")
            if context.name is None or _normal(name) == _normal(context.name):
                yield Packaged(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")

    def get_source(self, name: str) -> str:
        """Return the author's text, of which `traceback` prints the lines."""
        return str(self._modules[name][1])
