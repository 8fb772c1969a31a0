"""Checks at the border of a plugin, installed by the entry module of its component.

The toolchain traps without a word where a value does not fit the contract. This module checks the
arguments of host calls and what the plugin returns before they reach the toolchain, and raises a
TypeError that names the value, with the author's file and line in its traceback. It runs in the
guest's Python; `builder.border` generates the entry module.
"""

import codecs
import functools
import importlib
import re
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType, ModuleType, TracebackType
from typing import Any, NamedTuple

# A plugin's folders are /0, /1 and so on; the last of them is this module's own.
_OWN_FOLDER = __file__.rpartition("/")[0] + "/"
_AUTHORS_FILE = re.compile(r"/\d+/")
_MADE_AT = "_harvester_made_at"
Kind = tuple[Any, ...]
_ANY: Kind = ("any",)
Mistake = Callable[[Any, Kind], str]
Refused = Callable[[Any, str], Iterator[tuple[Any, str]]]
# Bound of the different readings that are told to be refused.
_MAX_TOLD = 20
# The guest's Python is newer than the one that the types here are checked for.
_MONITORING: Any = getattr(sys, "monitoring", None)
_TOOL = 3


class _Place(NamedTuple):
    file: str
    line: int
    function: str


# By a function's code: where it last returned.
_returned_at: dict[CodeType | None, _Place] = {}


class Contract(NamedTuple):
    """What the entry module knows: types of the plugin's world, and what to load at build."""

    imports: dict[str, dict[str, dict[str, Kind]]]
    exports: dict[str, tuple[str, list[str], dict[str, Kind]]]
    lazy_imports: list[tuple[str, tuple[str, ...], str, int, bool]]
    codecs: list[str]
    sensor_id_pattern: str


def install(
    contract: Contract, mistake: Mistake, refused: Refused, err: type[Exception]
) -> dict[str, type]:
    """Load the plugin with its host calls checked; return its classes, checked, by name.

    `mistake` tells what is wrong with a value, `refused` yields the readings that a node refuses,
    and `err` is the exception of a WIT result.
    """
    border = _Border(mistake, lambda value: refused(value, contract.sensor_id_pattern), err)
    border.check_host_calls(contract.imports)
    sys.excepthook = _report
    app = importlib.import_module("app")
    _load_lazy_imports(contract.lazy_imports)
    _load_codecs(contract.codecs)
    return border.checked_exports(app, contract.exports)


class _Border:
    def __init__(
        self,
        mistake: Mistake,
        refused: Callable[[Any], Iterator[tuple[Any, str]]],
        err: type[Exception],
    ) -> None:
        self._mistake = mistake
        self._refused = refused
        self._err = err
        self._told: set[str] = set()

    def check_host_calls(self, imports: dict[str, dict[str, dict[str, Kind]]]) -> None:
        for interface, functions in imports.items():
            module = importlib.import_module(f"wit_world.imports.{interface}")
            for name, parameters in functions.items():
                function = getattr(module, name)
                checked = self._checked_call(f"{interface}.{name}", function, parameters)
                setattr(module, name, checked)

    def checked_exports(
        self, app: ModuleType, exports: dict[str, tuple[str, list[str], dict[str, Kind]]]
    ) -> dict[str, type]:
        _MONITORING.use_tool_id(_TOOL, "harvester")
        _MONITORING.register_callback(_TOOL, _MONITORING.events.PY_RETURN, _on_return)
        for interface, (_, records, _) in exports.items():
            for record in records:
                module = importlib.import_module(f"wit_world.exports.{interface}")
                _note_places(getattr(module, record))
        return {
            name: self._checked_class(getattr(app, name), name, functions)
            for name, _, functions in exports.values()
        }

    def _checked_call(
        self, name: str, function: Callable[..., Any], parameters: dict[str, Kind]
    ) -> Callable[..., Any]:
        """Return a host's function that checks its arguments first."""

        @functools.wraps(function)
        def called(*arguments: Any, **named: Any) -> Any:
            given = {**dict(zip(parameters, arguments, strict=False)), **named}
            for parameter, value in given.items():
                wrong = self._mistake(value, parameters.get(parameter, _ANY))
                if wrong:
                    raise TypeError(f"{name}: {parameter}: {wrong}")
            return function(*arguments, **named)

        return called

    def _checked_class(
        self, make: Callable[[], Any], name: str, functions: dict[str, Kind]
    ) -> type:
        """Return a class that runs the plugin's and checks what its functions return."""
        result_of = self._checked_result

        def initialize(self: Any) -> None:
            self.plugin = make()
            for function in functions:
                _note_returns(getattr(self.plugin, function, None))

        def method(function: str, kind: Kind) -> Callable[..., Any]:
            def called(self: Any, *arguments: Any) -> Any:
                return result_of(getattr(self.plugin, function), arguments, kind)

            return called

        methods = {function: method(function, kind) for function, kind in functions.items()}
        return type(name, (), {"__init__": initialize, **methods})

    def _checked_result(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], kind: Kind
    ) -> Any:
        ok, err = kind[1:] if kind[0] == "result" else (kind, _ANY)
        try:
            value = function(*arguments)
        except self._err as error:
            wrong = self._mistake(getattr(error, "value", None), err)
            if wrong:
                raise TypeError(f"Err: {wrong}").with_traceback(error.__traceback__) from None
            raise
        except SystemExit as error:
            # It ends the guest without a word; the host looks for the place in this traceback.
            _report(SystemExit, error, error.__traceback__)
            raise
        wrong = self._mistake(value, ok)
        if wrong:
            name = getattr(function, "__name__", "a function")
            place = self._made_at(value, ok) or _returned_at.get(_code_of(function))
            _raise_at(TypeError(f"{name}(): {wrong}"), place)
        self._tell_refused(value)
        return value

    def _tell_refused(self, value: Any) -> None:
        """Print, once, where a reading was made that the node will refuse."""
        for record, reason in self._refused(value):
            if reason not in self._told and len(self._told) < _MAX_TOLD:
                self._told.add(reason)
                place = getattr(record, _MADE_AT, None)
                where = f" ({place.file.split('/', 2)[-1]}:{place.line})" if place else ""
                print(f"{reason}{where}", file=sys.stderr)

    def _made_at(self, value: Any, kind: Kind) -> _Place | None:
        """Return where the first wrong record was made."""
        items = value if isinstance(value, list) else [value]
        item_kind = kind[1] if kind[0] == "list" else kind
        wrong = next((item for item in items if self._mistake(item, item_kind)), None)
        return getattr(wrong, _MADE_AT, None)


def _raise_at(error: Exception, place: _Place | None) -> None:
    """Raise `error` with a traceback that points to `place`."""
    if place is None:
        raise error
    code = compile("\n" * (place.line - 1) + "raise error", place.file, "exec")
    exec(code.replace(co_name=place.function), {"error": error})  # noqa: S102 - text of this module


def _note_places(record: type) -> None:
    """Let each record of this class know where it was made."""
    initialize: Callable[..., None] = record.__init__  # type: ignore[misc]

    @functools.wraps(initialize)
    def noting(self: Any, *arguments: Any, **named: Any) -> None:
        place = _authors_place(sys._getframe(1))  # noqa: SLF001 - there is no other way
        if place is not None:
            self.__dict__[_MADE_AT] = place
        initialize(self, *arguments, **named)

    record.__init__ = noting  # type: ignore[misc]


def _authors_place(frame: FrameType | None) -> _Place | None:
    while frame is not None and not _is_authors(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None:
        return None
    return _Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)


def _is_authors(file: str) -> bool:
    return _AUTHORS_FILE.match(file) is not None and not file.startswith(_OWN_FOLDER)


def _note_returns(function: Any) -> None:
    code = _code_of(function)
    if code is not None:
        _MONITORING.set_local_events(_TOOL, code, _MONITORING.events.PY_RETURN)


def _code_of(function: Any) -> CodeType | None:
    code = getattr(function, "__code__", None)
    return code if isinstance(code, CodeType) else None


def _on_return(code: CodeType, offset: int, _value: Any) -> None:
    line = next((at for start, end, at in code.co_lines() if start <= offset < end), None)
    _returned_at[code] = _Place(code.co_filename, line or code.co_firstlineno, code.co_name)


def _report(
    kind: type[BaseException], error: BaseException, _traceback: TracebackType | None
) -> None:
    """Print an exception without this module's own frames, from the beginning of a line."""
    seen: BaseException | None = error
    while seen is not None:
        # Without any frame, no "Traceback" would head the text. `Err` is frozen: it refuses to have
        # its attribute set.
        seen.with_traceback(_without_own_frames(seen.__traceback__) or seen.__traceback__)
        seen = seen.__cause__ or seen.__context__
    if sys.stderr is not None:
        sys.stderr.write("\n")
    sys.__excepthook__(kind, error, error.__traceback__)


def _without_own_frames(traceback: TracebackType | None) -> TracebackType | None:
    frames = []
    while traceback is not None:
        if not traceback.tb_frame.f_code.co_filename.startswith(_OWN_FOLDER):
            frames.append(traceback)
        traceback = traceback.tb_next
    kept: TracebackType | None = None
    for frame in reversed(frames):
        kept = TracebackType(kept, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return kept


def _load_lazy_imports(lazy: list[tuple[str, tuple[str, ...], str, int, bool]]) -> None:
    """Import what the plugin will: at run time there are no files to import from.

    An import that fails is the author's mistake, unless the plugin expects that it may fail.
    """
    for module, names, file, line, may_fail in lazy:
        try:
            __import__(module, fromlist=names)
        except ImportError as error:
            if not may_fail:
                _raise_at(error.with_traceback(None), _Place(file, line, "import"))


def _load_codecs(names: list[str]) -> None:
    for name in names:
        try:
            codecs.lookup(name)
        except (LookupError, ImportError):
            continue  # the host knows more codecs than the guest
