"""File of the plugin that a record is of, or of another version of it."""

import hashlib
from pathlib import Path

from bus.contract.plugin_file.bundle import SUFFIX
from bus.errors import MisconfiguredError
from harvester.plugins import manifest
from harvester.plugins.builder.pack import pack
from harvester.plugins.project import contract_file, from_here, runnable
from harvester.plugins.source import read
from node_agent.recorder.record_file import Record


def of_record(record: Record, named: Path | None, project: Path, scratch: Path) -> Path:
    """Return the very file that was recorded: in the record, `named`, or of the project.

    `scratch` is a folder for a file that is only in the record. Raises MisconfiguredError.
    """
    plugin = record.plugin
    if plugin.bundle is not None:
        file = scratch / f"{plugin.name}{SUFFIX}"
        file.write_bytes(plugin.bundle)
        return file
    if named is not None:
        if _digest(named) != plugin.sha256:
            raise MisconfiguredError(
                f"{from_here(named)}: found another version of {plugin.name} than the recorded "
                f"{plugin.sha256[:12]}; --against runs another one"
            )
        return named
    for source in runnable(project):
        for file in (source.bundle, source.wasm):
            if source.name == plugin.name and _digest(file) == plugin.sha256:
                return file
    raise MisconfiguredError(
        f"found {plugin.name} {plugin.sha256[:12]} neither in the record nor in the project; "
        "expected its file by --plugin FILE"
    )


def changed(named: Path, project: Path, scratch: Path) -> Path:
    """Return the file of another version: a folder is packed to `scratch`.

    Raises MisconfiguredError, BuildError.
    """
    if not named.is_dir():
        if not named.is_file():
            raise MisconfiguredError(f"{named}: not there; expected a plugin's folder or its file")
        return named
    if not (named / manifest.NAME).is_file():
        raise MisconfiguredError(f"{named}: has no {manifest.NAME}; expected a plugin's folder")
    source = read(named.resolve())
    file = scratch / f"{source.name}-changed{SUFFIX}"
    file.write_bytes(pack(source, contract_file(project)))
    return file


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""
