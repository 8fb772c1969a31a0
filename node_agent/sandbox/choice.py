"""Choice of a component's compiled form on this machine: native code, or portable bytecode."""

import logging
from pathlib import Path
from typing import Literal

from node_agent.sandbox import cache
from node_agent.sandbox.engine import Target
from node_agent.sandbox.errors import ComponentError

logger = logging.getLogger(__name__)

# "auto", or one of the targets by name.
Wanted = Literal["auto", "native", "pulley64"]

# Peak memory of the compiler for one 18 MB component (measured: 370 MB), and a margin.
_COMPILER_MB = 420
_MEMINFO = Path("/proc/meminfo")


def choose(wasm: Path, directory: Path, wanted: Wanted, digest: str) -> tuple[Path, Target]:
    """Return the compiled file to map and its target, compiling where needed.

    Blocks for as long as the compiler takes. Raises ComponentError, CacheError.
    """
    if wanted != "auto":
        target = Target(wanted)
        return cache.compiled(wasm, directory, target, digest)[0], target
    native = cache.available(wasm, directory, Target.NATIVE, digest)
    if native is not None:
        return native, Target.NATIVE
    bytecode = cache.available(wasm, directory, Target.PULLEY, digest)
    if bytecode is None:
        return cache.compiled(wasm, directory, Target.NATIVE, digest)[0], Target.NATIVE
    return _compiled_or(bytecode, wasm, directory, digest)


def _compiled_or(bytecode: Path, wasm: Path, directory: Path, digest: str) -> tuple[Path, Target]:
    """Compile to native code where that is possible, else use the given bytecode."""
    free_mb = free_memory_mb()
    if free_mb is not None and free_mb < _COMPILER_MB:
        logger.info(
            "%s: %d MB are free, the compiler needs %d; bytecode runs instead",
            *(wasm, free_mb, _COMPILER_MB),
        )
        return bytecode, Target.PULLEY
    try:
        return cache.compiled(wasm, directory, Target.NATIVE, digest)[0], Target.NATIVE
    except ComponentError as e:
        logger.warning("%s; bytecode runs instead", e)
        return bytecode, Target.PULLEY


def compiler_obstacle(meminfo: Path = _MEMINFO) -> str:
    """Return why this machine can never compile a component, with what to do, or nothing."""
    sizes = _sizes_mb(meminfo)
    total_mb = sizes.get("MemTotal", _COMPILER_MB) + sizes.get("SwapTotal", 0)
    if total_mb >= _COMPILER_MB:
        return ""
    return (
        f"it has {total_mb} MB of memory, and to compile one takes {_COMPILER_MB} MB; send the "
        "plugin as a bundle, or install the component with its bytecode of `harvester plugins "
        "compile` at the node"
    )


def free_memory_mb(meminfo: Path = _MEMINFO) -> int | None:
    """Return the kernel's estimate of available memory, None where there is none."""
    return _sizes_mb(meminfo).get("MemAvailable")


def _sizes_mb(meminfo: Path) -> dict[str, int]:
    """Return the sizes that the kernel tells in kilobytes, by name; none where it does not."""
    try:
        lines = meminfo.read_text().splitlines()
    except OSError:
        return {}
    parts = (line.split() for line in lines if line.endswith(" kB"))
    return {name.removesuffix(":"): int(size) // 1024 for name, size, _ in parts}
