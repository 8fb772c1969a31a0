"""Standard library of the runtime component, which has no files to import from.

What most plugins use is imported while the runtime is built. The rest is carried as compressed code
and imported when a bundle asks for it: that costs an instance no memory until then. It runs in the
guest's Python.
"""

import codecs
import importlib
import importlib.machinery
import marshal
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from types import ModuleType

_FOLDER = "/python"
# Written and read while the runtime is built; the toolchain mounts the folder.
_INDEX, _PACKED = "/0/stdlib.index", "/0/stdlib.packed"
_PACKAGE = "__init__"
_IMPORTED = (
    *("abc", "base64", "binascii", "bisect", "codecs", "collections", "collections.abc"),
    *("contextlib", "copy", "dataclasses", "datetime", "enum", "functools", "inspect", "io"),
    *(
        "itertools",
        "json",
        "linecache",
        "math",
        "operator",
        "os",
        "pickle",
        "random",
        "re",
        "statistics",
    ),
    *("string", "struct", "textwrap", "time", "traceback", "types", "typing", "warnings"),
)
_CODECS = ("ascii", "latin_1", "utf_8")
# For people at a terminal, for building Python, or of no use without files, processes and network.
_LEFT_OUT = frozenset(
    {"antigravity", "cProfile", "compileall", "ctypes"}
    | {"curses", "dbm", "doctest", "ensurepip", "ftplib", "idlelib", "imaplib", "lib2to3"}
    | {"mailbox", "modulefinder", "multiprocessing", "pickletools", "poplib", "profile"}
    | {"pstats", "pty", "pyclbr", "pydoc", "pydoc_data", "smtplib", "socketserver"}
    | {"sqlite3", "tabnanny", "this", "tkinter", "trace", "tty", "turtle", "turtledemo", "venv"}
    | {"webbrowser", "wsgiref", "xmlrpc", "zipapp"}
)
# Of the interactive console, what `pdb` imports, which packages import in turn.
_CONSOLE = "_pyrepl"
_KEPT_OF_CONSOLE = ("_pyrepl", "_pyrepl.trace", "_pyrepl.types", "_pyrepl.utils")


def pack() -> None:
    """Write what `load` does not import beside this module, for the build that comes next.

    It is a build of its own: a heap in which everything was compiled is full of holes, and what an
    instance then puts into them costs memory all over the place.
    """
    _import()
    index, packed = {}, bytearray()
    for name, file, is_package, code in _rest():
        index[name] = (file, is_package, len(packed), len(code))
        packed += code
    for path, content in ((_INDEX, marshal.dumps(index)), (_PACKED, packed)):
        with open(path, "wb") as output:
            output.write(content)


def load(mend: Callable[[ModuleType], None]) -> None:
    """Import the one part of the library, and make the other, which `pack` wrote, importable.

    What is imported later is passed to `mend`.
    """
    with open(_PACKED, "rb") as packed, open(_INDEX, "rb") as index:
        finder = _Finder(marshal.load(index), packed.read(), mend)  # noqa: S302 - written by `pack`
    _import()
    for module in list(sys.modules.values()):
        mend(module)
    # Before the finder that looks for files.
    sys.meta_path.insert(-1, finder)


def _import() -> None:
    for module in _IMPORTED:
        importlib.import_module(module)
    for codec in _CODECS:
        codecs.lookup(codec)


class _Finder:
    """Finder and loader of modules that are kept as code."""

    def __init__(
        self,
        index: dict[str, tuple[str, bool, int, int]],
        packed: bytes,
        mend: Callable[[ModuleType], None],
    ) -> None:
        self._index, self._mend = index, mend
        self._packed = packed

    def find_spec(
        self, name: str, _path: object = None, _target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in self._index:
            return None
        file, is_package, _, _ = self._index[name]
        return importlib.machinery.ModuleSpec(
            name,
            self,  # type: ignore[arg-type]
            origin=file,
            is_package=is_package,
        )

    def create_module(self, _spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        _, _, at, length = self._index[module.__name__]
        packed = memoryview(self._packed)[at : at + length]
        code = marshal.loads(zlib.decompress(packed))  # noqa: S302 - written by `pack`
        exec(code, module.__dict__)  # noqa: S102 - the standard library's
        if module.__name__ == "pdb":
            # Packages import it, and `breakpoint` calls this.
            module.set_trace = _set_trace  # type: ignore[attr-defined]
        self._mend(module)


def _set_trace(*_: object, **__: object) -> None:
    raise RuntimeError("a debugger needs a terminal, which a plugin has not; print instead")


def _rest() -> Iterator[tuple[str, str, bool, bytes]]:
    for folder, subfolders, files in os.walk(_FOLDER):
        subfolders.sort()
        for file in sorted(files):
            path = f"{folder}/{file}"
            parts = path.removeprefix(f"{_FOLDER}/").removesuffix(".py").split("/")
            is_package = parts[-1] == _PACKAGE
            name = ".".join(parts[:-1] if is_package else parts)
            is_left_out = parts[0] == _CONSOLE and name not in _KEPT_OF_CONSOLE
            is_left_out = is_left_out or parts[0] in _LEFT_OUT or name in sys.modules
            if file.endswith(".py") and not is_left_out:
                with open(path, "rb") as source:
                    code = marshal.dumps(compile(source.read(), path, "exec", dont_inherit=True))
                yield name, path, is_package, zlib.compress(code, 9)
