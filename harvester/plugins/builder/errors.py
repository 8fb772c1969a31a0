"""From what the compiler says about a plugin to the one line that its author needs. Pure.

componentize-py runs the plugin's module and makes its classes once while it builds. What that
raises is printed as a traceback with paths of its own, `/0/app.py`, by the place of their folder in
the Python path, and then by the stacks of the compiler itself.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from harvester.plugins.builder.contract import module_name
from harvester.plugins.builder.least_world import parse
from harvester.plugins.source import PluginSource

_FRAME = re.compile(r'File "/(\d+)/(.+?)", line (\d+)')
_HOST_CALL = re.compile(r"called trapping stub: \S+?/([\w-]+)@\S+?#([\w-]+)")
_NO_MODULE = "ModuleNotFoundError"


def explain(output: str, source: PluginSource) -> str:
    """Return why the compiler refused `source`, with file and line where there is one."""
    host_call = _HOST_CALL.search(output)
    if host_call:
        return _called_too_early(source, *map(module_name, host_call.groups()))
    said = _said(output)
    frames = [*_frames(said, source)]
    where = frames[-1] if frames else str(source.directory)
    sentence = _sentence(said) or "the compiler ended without a word"
    hint = "; a plugin finds the standard library, its own folder and its python_path"
    return f"{where}: {sentence}{hint if sentence.startswith(_NO_MODULE) else ''}"


def authors_paths(text: str, source: PluginSource) -> str:
    """Return a guest's traceback with the author's files in place of its own."""

    def shown(frame: re.Match[str]) -> str:
        file = _file(source, int(frame[1]), frame[2])
        return f'File "{file}", line {frame[3]}' if file is not None else frame[0]

    return _FRAME.sub(shown, text)


def _said(output: str) -> str:
    """Return what stands between the compiler's own traceback and its causes and stacks."""
    _, _, said = output.rpartition("AssertionError: ")
    return re.split(r"\n\s*(?:Caused by|Stack backtrace):", said or output, maxsplit=1)[0].strip()


def _sentence(said: str) -> str:
    """Return the line of a traceback that names the exception, or the first of other words."""
    lines = said.splitlines()
    framed = [number for number, line in enumerate(lines) if _FRAME.search(line)]
    after = lines[framed[-1] + 1 :] if framed else lines
    # What belongs to a frame, its source and its carets, is indented.
    return next((line for line in after if line and not line.startswith(" ")), "")


def _frames(text: str, source: PluginSource) -> Iterator[str]:
    for place, name, line in _FRAME.findall(text):
        file = _file(source, int(place), name)
        if file is not None:
            yield f"{file}:{line}"


def _file(source: PluginSource, place: int, name: str) -> Path | None:
    folders = source.python_paths
    file = folders[place] / name if place < len(folders) else None
    return file if file is not None and file.is_file() else None


def _called_too_early(source: PluginSource, interface: str, function: str) -> str:
    app = source.directory / "app.py"
    line = next(_calls(app, function), None)
    where = f"{app}:{line}" if line is not None else str(source.directory)
    return (
        f"{where}: calls {interface}.{function}() while it is built, when there is no host; "
        "call it in the function that the host calls, not in the module or in __init__"
    )


def _calls(app: Path, function: str) -> Iterator[int]:
    for node in ast.walk(parse(app)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == function:
            yield node.lineno
