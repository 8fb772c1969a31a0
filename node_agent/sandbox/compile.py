"""Compiler process: `python -m node_agent.sandbox.compile [--portable] TARGET IN OUT`.

A separate process, because the compiler needs some 370 MB that are never returned to the kernel.
"""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from wasmtime import WasmtimeError
from wasmtime.component import Component

from bus.files import whole_file
from node_agent.sandbox import seal
from node_agent.sandbox.engine import SETTINGS, Target, make_engine


def compile_file(source: Path, output: Path, target: Target, *, portable: bool = False) -> None:
    """Write `source` compiled to `output`, whole or not at all, with its seal beside it.

    Raises WasmtimeError, OSError.
    """
    content = source.read_bytes()
    with (
        make_engine(target, portable=portable) as engine,
        Component(engine, content) as component,
    ):
        compiled = component.serialize()
    # A process that maps huge pages gets them whole, 2 MB for every page that it touches.
    whole_file.replace(output, compiled, drop_page_cache=True)
    seal.write(
        output,
        seal.Seal(
            component=hashlib.sha256(content).hexdigest(),
            sha256=hashlib.sha256(compiled).hexdigest(),
            settings=SETTINGS,
            machine=target.machine,
        ),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="compile")
    parser.add_argument("--portable", action="store_true", help="for every machine of this kind")
    parser.add_argument("target", type=Target)
    parser.add_argument("source", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args(arguments)
    try:
        compile_file(options.source, options.output, options.target, portable=options.portable)
    except (WasmtimeError, OSError) as e:
        sys.exit(str(e))


if __name__ == "__main__":
    main()
