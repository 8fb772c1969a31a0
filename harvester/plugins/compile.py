"""Compiles built plugins for other machines, beside the component or into another folder.

An agent that finds such a file, and the record beside it, next to its component needs no compiler.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from bus.errors import MisconfiguredError
from harvester.plugins.source import PluginSource
from node_agent.sandbox import cache, seal
from node_agent.sandbox.engine import Target
from node_agent.sandbox.errors import ComponentError


class Compiled(msgspec.Struct, frozen=True):
    """The outcome of one plugin; `error` is empty where `output` was written."""

    name: str
    output: Path
    seconds: float
    error: str = ""

    def __str__(self) -> str:
        if self.error:
            return f"{self.name}: FAILED: {self.error}"
        size_mb = self.output.stat().st_size / 1e6
        return f"{self.name}: {self.output.name}, {size_mb:.1f} MB, {self.seconds:.1f} s"


def compile_all(
    sources: Sequence[PluginSource], target: Target, directory: Path | None = None
) -> Iterator[Compiled]:
    """Compile each plugin, one after the other: a compiler takes some 370 MB.

    Raises MisconfiguredError where a plugin is not built or `directory` cannot be made.
    """
    missing = [source.name for source in sources if not source.wasm.is_file()]
    if missing:
        raise MisconfiguredError(
            f"plugins: {', '.join(missing)} not built; run `harvester plugins build` first"
        )
    if directory is not None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise MisconfiguredError(f"{directory}: {e.strerror}") from e
    for source in sources:
        output = cache.shipped_path(source.wasm, target)
        yield _compile(source, directory / output.name if directory else output, target)


def _compile(source: PluginSource, output: Path, target: Target) -> Compiled:
    began_s = time.monotonic()
    error = ""
    try:
        if not seal.holds(output, cache.sha256_of(source.wasm), target.machine):
            cache.run_compiler(source.wasm, output, target, portable=True)
            # Whoever runs the agent over there must read it.
            for file in (output, seal.seal_path(output)):
                file.chmod(0o644)
    except ComponentError as e:
        error = str(e)
    return Compiled(source.name, output, time.monotonic() - began_s, error)
