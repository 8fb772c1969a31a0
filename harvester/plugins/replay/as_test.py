"""pytest case of a record: a copy of the record, and what its last poll came to."""

import json
import pprint
import shutil
from pathlib import Path

from bus.errors import MisconfiguredError
from harvester.plugins.replay.replaying import spelled
from node_agent.recorder.record_file import SUFFIX, Record

_CASE = '''"""Replay of a record of {node}: {reason}."""

from pathlib import Path

from harvester.plugins.replay.replaying import last_outcome

HERE = Path(__file__).parent


def test_{name}() -> None:
    {advice}
    assert last_outcome(HERE / "{record}"{plugin}) == {expected}
'''
_CHANGE = "# As it was recorded. Write what it should be, and change the plugin until it is."
_AS_RECORDED = "# Of the recorded bundle. A second argument, a plugin's folder, runs that instead."


def write(record: Record, source: Path, target: Path, plugin: Path | None) -> list[Path]:
    """Write the case to `target` and the record beside it; return both. Raises MisconfiguredError.

    `plugin` is the folder or file that the case runs, None for the bundle in the record.
    """
    name = target.stem.replace("-", "_")
    if target.suffix != ".py" or not name.startswith("test_") or not name.isidentifier():
        raise MisconfiguredError(f"--as-test: found {target.name!r}, expected test_NAME.py")
    if not record.steps.kept:
        raise MisconfiguredError(f"{source}: the record has no steps")
    copy = target.with_name(f"{target.stem.removeprefix('test_')}{SUFFIX}")
    expected = pprint.pformat(spelled(record.steps.kept[-1].outcome), width=80)
    text = _CASE.format(
        node=record.node,
        reason=record.reason,
        name=name.removeprefix("test_"),
        record=copy.name,
        advice=_CHANGE if plugin is not None else _AS_RECORDED,
        plugin=f", {_named(plugin, target.parent)}" if plugin is not None else "",
        expected=expected.replace("\n", "\n    "),
    )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not (copy.exists() and copy.samefile(source)):
            shutil.copyfile(source, copy)
        target.write_text(text, encoding="utf-8")
    except OSError as e:
        raise MisconfiguredError(f"{e.filename}: {e.strerror}") from e
    return [target, copy]


def _named(plugin: Path, folder: Path) -> str:
    """Return the expression of the plugin's place in a case that lies in `folder`."""
    place, here = plugin.resolve(), folder.resolve()
    if place == here:
        return "HERE"
    if place.is_relative_to(here):
        return f"HERE / {json.dumps(str(place.relative_to(here)))}"
    return f"Path({json.dumps(str(place))})"
