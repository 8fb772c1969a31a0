"""Checks at the border of a plugin, installed by the entry module of its component.

The runtime component installs them for every interface, and a bundle's classes when it is loaded.

The toolchain traps without a word where a value does not fit the contract. This module checks the
arguments of host calls and what the plugin returns before they reach the toolchain, and raises a
TypeError that names the value, with the author's file and line in its traceback. It runs in the
guest's Python; `builder.border` generates the entry module.
"""

import codecs
import functools
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING or __package__:
    from harvester.plugins.builder.guest import harvester_places as places
    from harvester.plugins.builder.guest import harvester_waits as waits
else:
    # In a component, modules are in no package.
    import harvester_places as places
    import harvester_waits as waits

Kind = tuple[Any, ...]
_ANY: Kind = ("any",)
Mistake = Callable[[Any, Kind], str]
Refused = Callable[[Any, str], Iterator[tuple[Any, str]]]
Exports = dict[str, tuple[str, list[str], dict[str, Kind]]]
_TOO_EARLY = (
    "while it is loaded, when there is no host; call it in the function that the host calls, not "
    "in the module or in __init__"
)
# Bound of the different readings that are told to be refused.
_MAX_TOLD = 20


class Contract(NamedTuple):
    """What the entry module knows: types of the plugin's world, and what to load at build."""

    imports: dict[str, dict[str, dict[str, Kind]]]
    exports: Exports
    lazy_imports: list[tuple[str, tuple[str, ...], str, int, bool]]
    codecs: list[str]
    sensor_id_pattern: str


class Checks(NamedTuple):
    """What the border is made of.

    `mistake` tells what is wrong with a value, `refused` yields the readings that a node refuses,
    and `err` is the exception of a WIT result.
    """

    mistake: Mistake
    refused: Refused
    err: type[Exception]


class States(NamedTuple):
    """The module `harvester_state`, which only the runtime component has."""

    make: Callable[[dict[str, Any], list[str]], Any]
    reason_of: Callable[[BaseException], str]


def install(contract: Contract, checks: Checks) -> dict[str, type]:
    """Load the plugin with its host calls checked; return its classes, checked, by name."""
    border = _Border(checks, contract)
    _put_own_modules_first()
    app = importlib.import_module("app")
    _load_lazy_imports(contract.lazy_imports)
    _load_codecs(contract.codecs)
    for module in list(sys.modules.values()):
        # A plugin may have a module of the same name.
        if not places.is_authors(getattr(module, "__file__", None) or ""):
            waits.mend(module)
    return border.checked_exports(app, contract.exports)


def install_runtime(
    contract: Contract,
    checks: Checks,
    load: Callable[[], tuple[ModuleType, list[str], list[str]]],
    states: States,
) -> dict[str, type]:
    """Return the classes of the runtime component by name.

    One for each export of the contract, which a bundle's class stands behind, and `BundleLoader`,
    which calls `load` for the bundle's main module, the interfaces that it exports, and the names
    of its modules. Its state is kept by `states`.
    """
    border = _Border(checks, contract)
    plugins: dict[str, Any] = {}
    kept: list[Any] = []

    def load_bundle(_self: object) -> None:
        border.is_loading = True
        try:
            app, interfaces, modules = load()
            exports = {name: contract.exports[name.replace("-", "_")] for name in interfaces}
            _check_classes(app, exports)
            classes = border.checked_exports(app, exports)
            plugins.update({name: make() for name, make in classes.items()})
            _check_functions(app, plugins, exports)
            kept.append(states.make(plugins, modules))
        except SystemExit as error:
            places.report(SystemExit, error, error.__traceback__)
            raise
        border.is_loading = False

    def state(_self: object) -> tuple[str, str]:
        return without_host(lambda: (_without_authors_code(kept[0].kept), ""))

    def restore(_self: object, content: str) -> str:
        return without_host(lambda: (kept[0].restore(content) or "", ""))[1]

    def without_host(call: Callable[[], tuple[str, str]]) -> tuple[str, str]:
        """Run what must not have effects."""
        border.is_loading = True
        try:
            return call()
        except BaseException as error:  # noqa: BLE001 - a replay does without
            return "", states.reason_of(error)
        finally:
            border.is_loading = False

    def method(name: str, function: str) -> Callable[..., Any]:
        return lambda _self, *arguments: getattr(plugins[name], function)(*arguments)

    classes = {
        name: type(name, (), {function: method(name, function) for function in functions})
        for name, _, functions in contract.exports.values()
    }
    loader = {"load": load_bundle, "state": state, "restore": restore}
    return {**classes, "BundleLoader": type("BundleLoader", (), loader)}


def _check_classes(app: ModuleType, exports: Exports) -> None:
    """Raise TypeError where `app` lacks a class, or one that is abstract lacks a function."""
    for interface, (name, _, _) in exports.items():
        found = getattr(app, name, None)
        if not callable(found):
            error = TypeError(f"found no class {name}, expected one, which exports {interface}")
            places.raise_at(error, places.Place(str(app.__file__), 1, "<module>"))
        for function in sorted(getattr(found, "__abstractmethods__", ())):
            _raise_missing(app, name, function)


def _check_functions(app: ModuleType, plugins: dict[str, Any], exports: Exports) -> None:
    """Raise TypeError where a plugin lacks a function, which its class need not have had."""
    for name, _, functions in exports.values():
        for function in functions:
            if not callable(getattr(plugins[name].plugin, function, None)):
                _raise_missing(app, name, function)


def _raise_missing(app: ModuleType, name: str, function: str) -> None:
    line = getattr(getattr(app, name), "__firstlineno__", 1)
    place = places.Place(str(app.__file__), line, name)
    places.raise_at(TypeError(f"class {name} has no {function}()"), place)


class _Border:
    def __init__(self, checks: Checks, contract: Contract) -> None:
        self._mistake, self._err = checks.mistake, checks.err
        self._checks = checks
        self._sensor_id_pattern = contract.sensor_id_pattern
        self._told: set[str] = set()
        # While a bundle is loaded, as while a component is built, there is no host.
        self.is_loading = False
        places.install()
        waits.install()
        self._check_host_calls(contract.imports)
        for interface, (_, records, _) in contract.exports.items():
            for record in records:
                module = importlib.import_module(f"wit_world.exports.{interface}")
                places.note_places(getattr(module, record))

    def _check_host_calls(self, imports: dict[str, dict[str, dict[str, Kind]]]) -> None:
        for interface, functions in imports.items():
            module = importlib.import_module(f"wit_world.imports.{interface}")
            for name, parameters in functions.items():
                function = getattr(module, name)
                checked = self._checked_call(f"{interface}.{name}", function, parameters)
                setattr(module, name, checked)

    def checked_exports(self, app: ModuleType, exports: Exports) -> dict[str, type]:
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
            if self.is_loading:
                raise RuntimeError(f"calls {name}() {_TOO_EARLY}")
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
            self.plugin = _called(make, (), _initializer(make))
            for function in functions:
                places.note_returns(getattr(self.plugin, function, None))

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
            value = _called(function, arguments, function)
        except self._err as error:
            wrong = self._mistake(getattr(error, "value", None), err)
            if wrong:
                raise TypeError(f"Err: {wrong}").with_traceback(error.__traceback__) from None
            raise
        except SystemExit as error:
            # It ends the guest without a word; the host looks for the place in this traceback.
            places.report(SystemExit, error, error.__traceback__)
            raise
        wrong = self._mistake(value, ok)
        if wrong:
            name = getattr(function, "__name__", "a function")
            place = self._made_at(value, ok) or places.returned_at(function)
            places.raise_at(TypeError(f"{name}(): {wrong}"), place)
        self._tell_refused(value)
        return value

    def _tell_refused(self, value: Any) -> None:
        """Print, once, where a reading was made that the node will refuse."""
        for record, reason in self._checks.refused(value, self._sensor_id_pattern):
            if reason not in self._told and len(self._told) < _MAX_TOLD:
                self._told.add(reason)
                place = places.made_at(record)
                where = f" ({place.file.split('/', 2)[-1]}:{place.line})" if place else ""
                print(f"{reason}{where}", file=sys.stderr)

    def _made_at(self, value: Any, kind: Kind) -> places.Place | None:
        """Return where the first wrong record was made."""
        items = value if isinstance(value, list) else [value]
        item_kind = kind[1] if kind[0] == "list" else kind
        wrong = next((item for item in items if self._mistake(item, item_kind)), None)
        return places.made_at(wrong)


def _without_authors_code(call: Callable[[], str]) -> str:
    """Call, and raise RuntimeError before a function of the author would run within.

    A `__reduce__`, `__getstate__` or `__iter__` may change the plugin's values, and last for ever.
    """
    events = places.MONITORING.events
    for event in (events.PY_START, events.PY_RESUME):
        places.MONITORING.register_callback(places.TOOL, event, _on_start)
    places.MONITORING.set_events(places.TOOL, events.PY_START | events.PY_RESUME)
    try:
        return call()
    finally:
        places.MONITORING.set_events(places.TOOL, 0)


def _on_start(code: CodeType, _offset: int) -> Any:
    if not places.is_authors(code.co_filename):
        return places.MONITORING.DISABLE
    name = getattr(code, "co_qualname", code.co_name)
    raise RuntimeError(f"{name}() would have to run, which might have effects")


def _called(call: Callable[..., Any], arguments: tuple[Any, ...], at: Any) -> Any:
    """Call the author's code; where it does not begin, as its parameters are wrong, tell `at`."""
    try:
        return call(*arguments)
    except TypeError as error:
        if places.authors_frames(error.__traceback__) is not None:
            raise
        wrong = error.with_traceback(None)
    places.raise_at(wrong, places.defined_at(at))
    return None


def _initializer(make: Any) -> Any:
    """Return the function that makes an instance; `make` may be a class or a function."""
    return make.__init__ if isinstance(make, type) else make  # type: ignore[misc]


def _put_own_modules_first() -> None:
    """Let a plugin's module go before one of the standard library, as in a bundle."""
    sys.path.sort(key=lambda folder: not places.is_authors(f"{folder}/"))
    folders = [folder for folder in sys.path if places.is_authors(f"{folder}/")]
    ours = tuple(f"{folder}/" for folder in folders)
    for name, module in list(sys.modules.items()):
        is_hiding = not (getattr(module, "__file__", None) or "").startswith(ours)
        has_own = any(_has_module(folder, name) for folder in folders)
        if is_hiding and has_own and name not in sys.builtin_module_names:
            del sys.modules[name]


def _has_module(folder: str, name: str) -> bool:
    return any(os.path.exists(f"{folder}/{name}{end}") for end in (".py", "/__init__.py"))


def _load_lazy_imports(lazy: list[tuple[str, tuple[str, ...], str, int, bool]]) -> None:
    """Import what the plugin will: at run time there are no files to import from.

    An import that fails is the author's mistake, unless the plugin expects that it may fail.
    """
    for module, names, file, line, may_fail in lazy:
        try:
            __import__(module, fromlist=names)
        except ImportError as error:
            if not may_fail:
                places.raise_at(error.with_traceback(None), places.Place(file, line, "import"))


def _load_codecs(names: list[str]) -> None:
    for name in names:
        try:
            codecs.lookup(name)
        except (LookupError, ImportError):
            continue  # the host knows more codecs than the guest
