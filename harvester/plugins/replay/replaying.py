"""Replay of a record file: the recorded plugin, or another version of it, in the real sandbox.

The pytest cases that `--as-test` writes call `last_outcome`.
"""

import contextlib
import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from bus.errors import MisconfiguredError
from harvester.plugins.builder import runtime
from harvester.plugins.project import CACHE
from harvester.plugins.replay import plugin_file
from node_agent.recorder import record_file
from node_agent.recorder.events import Failed, Outcome
from node_agent.recorder.playback import PlayedStep, last, play
from node_agent.recorder.record_file import Record
from node_agent.sandbox.bundles.bundle import LoadedBundle
from node_agent.sandbox.bundles.loaded import LoadedPlugin
from node_agent.sandbox.limits import Limits
from node_agent.sandbox.runtime import Runtime


class Playing(msgspec.Struct, frozen=True):
    """A record, and the plugin that plays it."""

    record: Record
    loaded: LoadedPlugin

    def steps(self, on_line: Callable[[str], None] = print) -> Iterator[PlayedStep]:
        return play(self.loaded, self.record, on_line)

    @property
    def has_other_runtime(self) -> bool:
        """Whether the runtime that plays the bundle is not the one that it was recorded with."""
        recorded = self.record.plugin.runtime
        return isinstance(self.loaded, LoadedBundle) and self.loaded.runtime_sha256 != recorded


def read(path: Path) -> Record:
    """Return the record in a file. Raises MisconfiguredError, BadRecordError."""
    try:
        return record_file.read(path)
    except OSError as e:
        raise MisconfiguredError(f"{path}: {e.strerror}; expected a record of a plugin") from e


@contextlib.contextmanager
def opened(
    path: Path, project: Path, *, plugin: Path | None = None, against: Path | None = None
) -> Iterator[Playing]:
    """Open a record with the plugin that was recorded, or with `against`.

    Raises MisconfiguredError, BadRecordError, ComponentError.
    """
    record = read(path)
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if against is None:
            file = plugin_file.of_record(record, plugin, project, scratch)
        else:
            file = plugin_file.changed(against, project, scratch)
        runtime.ensure()
        cache = project / CACHE
        cache.parent.mkdir(mode=0o700, exist_ok=True)
        sandbox = stack.enter_context(Runtime(cache, Limits()))
        loaded = sandbox.load(file)
        stack.callback(loaded.close)
        yield Playing(record, loaded)


def last_outcome(
    path: Path, plugin: Path | None = None, project: Path | None = None
) -> dict[str, Any]:
    """Play a record with the plugin in a folder or file; return what its last poll came to.

    Without one, the bundle in the record runs. `{"returned": ...}`, with records as objects, an
    err as a text and NaN, which equals nothing, as "nan"; or `{"fault": ...}`.
    """
    with opened(path, project or (plugin or path).parent, against=plugin) as playing:
        return spelled(last(playing.steps(lambda _line: None)).played.outcome)


def spelled(outcome: Outcome | None) -> dict[str, Any]:
    if isinstance(outcome, Failed):
        return {"fault": outcome.message}
    return {"returned": _comparable(outcome.value) if outcome is not None else None}


def _comparable(value: Any) -> Any:
    """Return a value with the numbers that Python cannot spell, or compare, as texts."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _comparable(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_comparable, value))
    return value
