"""Compile one component to native code: `python -m node_agent.sandbox.compile IN OUT`.

A process of its own, because the compiler needs some 370 MB that are never given back.
"""

import os
import sys
from pathlib import Path

from wasmtime import WasmtimeError
from wasmtime.component import Component

from node_agent.sandbox.engine import make_engine


def compile_file(source: Path, target: Path) -> None:
    """Write `source` compiled to `target`, whole or not at all. Raises WasmtimeError, OSError."""
    with make_engine() as engine, Component.from_file(engine, source) as component:
        compiled = component.serialize()
    partial = target.with_suffix(f".{os.getpid()}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(compiled)
    partial.replace(target)


def main() -> None:
    source, target = sys.argv[1:]
    try:
        compile_file(Path(source), Path(target))
    except (WasmtimeError, OSError) as e:
        sys.exit(str(e))


if __name__ == "__main__":
    main()
