"""Builds plugins and prints progress: for the command line, and for a wheel's build."""

from collections.abc import Sequence
from pathlib import Path

from harvester.errors import BuildError
from harvester.plugins.builder.build import build_all, outdated
from harvester.plugins.source import PluginSource


def build_sources(sources: Sequence[PluginSource], wit: Path, *, force: bool = False) -> None:
    """Build what changed and print progress. Raises BuildError where a plugin does not build."""
    wanted = list(sources) if force else outdated(sources, wit)
    if not wanted:
        print(f"plugins: {len(sources)} up to date")
        return
    print(f"plugins: building {', '.join(source.name for source in wanted)}", flush=True)
    failed = []
    for number, built in enumerate(build_all(wanted, wit), 1):
        outcome = "FAILED" if built.error else f"{built.source.wasm.stat().st_size / 1e6:.1f} MB"
        progress = f"[{number}/{len(wanted)}]"
        print(f"  {progress} {built.source.name}: {outcome}, {built.seconds:.1f} s", flush=True)
        if built.error:
            failed.append(built.error)
    if failed:
        raise BuildError("\n".join(failed))
