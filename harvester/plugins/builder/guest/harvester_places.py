"""Places in a plugin's source: of what is wrong, and of the carets in a traceback.

A value that does not fit the contract is found when the author's code has returned. This module
notes where records are made and functions return, and raises an error as if it had been there. It
runs in the guest's Python.
"""

import functools
import itertools
import linecache
import re
import sys
import traceback
import weakref
from collections.abc import Callable
from types import CodeType, FrameType, TracebackType
from typing import Any, NamedTuple

# A plugin's folders are /0, /1 and so on. This module's own folder is one more, and in the runtime
# component it has the number of one of a bundle's.
_OWN_FILES = __file__.rpartition("/")[0] + "/harvester_"
_IMPORT_SYSTEM = "<frozen importlib"
_AUTHORS_FILE = re.compile(r"/\d+/")
# Of a traceback, the innermost ones: with lines and carets, what a host keeps of it.
_MAX_FRAMES = 12
# The guest's Python is newer than the one that the types here are checked for.
MONITORING: Any = getattr(sys, "monitoring", None)
TOOL = 3
# Of `compile`: return the syntax tree. The module `ast`, which names it, costs memory.
_ONLY_TREE = 0x400
# Of a column in a syntax tree.
_UNKNOWN = -1
_INDENTED = "    "
_RETURN = b"return "


class Place(NamedTuple):
    """A place in the author's source; columns count bytes of UTF-8, None where unknown."""

    file: str
    line: int
    function: str
    end_line: int | None = None
    column: int | None = None
    end_column: int | None = None


class _Made(NamedTuple):
    record: "weakref.ref[Any]"
    place: Place


# By the record's id.
_made_at: dict[int, _Made] = {}
# By a function's code: where it last returned.
_returned_at: dict[CodeType | None, Place] = {}


def install() -> None:
    """Print exceptions with the author's frames alone, each with a caret; note returns."""
    sys.excepthook = report
    _show_carets()
    MONITORING.use_tool_id(TOOL, "harvester")
    MONITORING.register_callback(TOOL, MONITORING.events.PY_RETURN, _on_return)


def raise_at(error: Exception, place: Place | None) -> None:
    """Raise `error` with a traceback that points to `place`."""
    if place is None:
        raise error
    tree: Any = compile("raise error", place.file, "exec", _ONLY_TREE)
    names = _names_of(place.file)
    has_columns = place.end_column is not None
    for node in (tree.body[0], tree.body[0].exc):
        node.lineno, node.end_lineno = place.line, place.end_line or place.line
        node.col_offset = _after_return(place, names) if has_columns else _UNKNOWN
        node.end_col_offset = place.end_column if has_columns else _UNKNOWN
    code = compile(tree, place.file, "exec").replace(co_name=place.function)
    exec(code, {**names, "error": error})  # noqa: S102 - the statement above


def _names_of(file: str) -> dict[str, Any]:
    """Return the names by which a traceback finds the source of a module's file."""
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == file:
            return {"__name__": module.__name__, "__spec__": module.__spec__}
    return {}


def _after_return(place: Place, names: dict[str, Any]) -> int:
    """Return the column of a place; of a `return`, that of its value."""
    column = place.column or 0
    line = linecache.getline(place.file, place.line, names).encode()
    return column + len(_RETURN) if line[column:].startswith(_RETURN) else column


def _show_carets() -> None:
    """Let each frame of one line have its caret: Python omits that of a whole statement."""
    plain = traceback.StackSummary.format_frame_summary

    def with_caret(self: Any, frame: Any, **options: Any) -> str:
        text = plain(self, frame, **options)
        line = frame.line or ""
        if text.count("\n") != 2 or not line:
            return text
        return f"{text}{_INDENTED}{'^' * len(line)}\n"

    traceback.StackSummary.format_frame_summary = with_caret  # type: ignore[method-assign, assignment]


def note_places(record: type) -> None:
    """Let each record of this class know where it was made."""
    initialize: Callable[..., None] = record.__init__  # type: ignore[misc]

    @functools.wraps(initialize)
    def noting(self: Any, *arguments: Any, **named: Any) -> None:
        place = _authors_place(sys._getframe(1))  # noqa: SLF001 - there is no other way
        if place is not None:
            _note_made(self, place)
        initialize(self, *arguments, **named)

    record.__init__ = noting  # type: ignore[misc]


def _authors_place(frame: FrameType | None) -> Place | None:
    while frame is not None and not is_authors(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None:
        return None
    return _place_in(frame.f_code, frame.f_lasti)


def is_authors(file: str) -> bool:
    return _AUTHORS_FILE.match(file) is not None and not file.startswith(_OWN_FILES)


def note_returns(function: Any) -> None:
    code = _code_of(function)
    if code is not None:
        MONITORING.set_local_events(TOOL, code, MONITORING.events.PY_RETURN)


def returned_at(function: Any) -> Place | None:
    """Return where a function last returned, or else where it is defined."""
    return _returned_at.get(_code_of(function)) or defined_at(function)


def made_at(record: Any) -> Place | None:
    """Return where a record was made."""
    made = _made_at.get(id(record))
    return made.place if made is not None and made.record() is record else None


def _note_made(record: object, place: Place) -> None:
    """Remember where a record was made as long as it lives, and leave no mark in it."""
    key = id(record)
    _made_at[key] = _Made(weakref.ref(record, lambda _: _made_at.pop(key, None)), place)


def _code_of(function: Any) -> CodeType | None:
    code = getattr(function, "__code__", None)
    return code if isinstance(code, CodeType) else None


def _on_return(code: CodeType, offset: int, _value: Any) -> None:
    _returned_at[code] = _place_in(code, offset)


def _place_in(code: CodeType, offset: int) -> Place:
    """Return the place of an instruction, each of which has two bytes."""
    found = next(itertools.islice(code.co_positions(), offset // 2, None), None)
    line, end_line, column, end_column = found or (None, None, None, None)
    first = code.co_firstlineno
    return Place(
        code.co_filename, line or first, code.co_name, end_line or line, column, end_column
    )


def defined_at(function: Any) -> Place | None:
    """Return the place of a function's definition, None of what is none of the author's."""
    code = _code_of(function)
    if code is None or not is_authors(code.co_filename):
        return None
    return Place(code.co_filename, code.co_firstlineno, code.co_name)


def report(
    kind: type[BaseException], error: BaseException, _traceback: TracebackType | None
) -> None:
    """Print an exception with the author's frames alone, from the beginning of a line."""
    seen: BaseException | None = error
    printed_first = error
    while seen is not None:
        # `Err` is frozen: it refuses to have its attribute set.
        seen.with_traceback(authors_frames(seen.__traceback__))
        if isinstance(seen, SyntaxError) and seen.text and not seen.offset:
            # Python knows no column of a line that should have been indented.
            seen.offset, seen.end_offset = 1, len(seen.text.rstrip()) + 1
        printed_first = seen
        seen = seen.__cause__ or seen.__context__
    if sys.stderr is not None:
        sys.stderr.write("\n")
        if printed_first.__traceback__ is None:
            # A module that cannot be compiled has no frame, and by this line a host knows it.
            sys.stderr.write("Traceback (most recent call last):\n")
    sys.__excepthook__(kind, error, error.__traceback__)


def authors_frames(traceback: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the frames of this module and of the import system."""
    frames = []
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if not file.startswith((_OWN_FILES, _IMPORT_SYSTEM)):
            frames.append(traceback)
        traceback = traceback.tb_next
    kept: TracebackType | None = None
    for frame in reversed(frames[-_MAX_FRAMES:]):
        kept = TracebackType(kept, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return kept
