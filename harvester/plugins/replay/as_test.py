"""pytest case of a record: a copy of the record, and what its last poll came to."""

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
    # As it was recorded. Write what it should be, and change the plugin until it is.
    assert last_outcome(HERE / "{record}", {plugin}) == {expected}
'''


def write(record: Record, source: Path, target: Path, plugin: Path) -> list[Path]:
    """Write the case to `target` and the record beside it; return both. Raises MisconfiguredError.

    `plugin` is the folder or file that the case runs.
    """
    if target.suffix != ".py" or not target.name.startswith("test_"):
        raise MisconfiguredError(f"--as-test: found {target.name!r}, expected test_NAME.py")
    copy = target.with_name(f"{target.stem.removeprefix('test_')}{SUFFIX}")
    folder = target.parent.resolve()
    place = plugin.resolve()
    inside = place.is_relative_to(folder)
    named = "HERE" if place == folder else f'HERE / "{place.relative_to(folder)}"' if inside else ""
    expected = pprint.pformat(spelled(record.steps.kept[-1].outcome), width=80)
    text = _CASE.format(
        node=record.node,
        reason=record.reason,
        name=target.stem.removeprefix("test_").replace("-", "_"),
        record=copy.name,
        plugin=named or f'Path("{place}")',
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
