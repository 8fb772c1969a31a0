"""Loader of `simulated.py`: runs the file and checks the classes in it.

The file is code of this host, outside any sandbox. Only simulated hardware loads it, and only from
the folders that the node's plugins are in.
"""

import ast
import inspect
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, get_args

import msgspec

from bus.errors import BadDataError
from node_agent.hal.simulated.models.shape import Bus
from node_agent.hal.simulated.models.time_bound import bounded

FILE_NAME = "simulated.py"
DEFAULT_BAUD = 9600

# The addresses of chips; the others are reserved (I2C specification UM10204, section 3.1.12).
_ADDRESSES = range(0x08, 0x78)
_OWN_NAMES = frozenset({"bus", "address", "addresses", "baud"})
_BUSES: tuple[str, ...] = get_args(Bus)
_METHODS: Mapping[str, tuple[tuple[str, int, str], ...]] = {
    "i2c": (("transfer", 3, "transfer(self, write, read_length, now_s)"),),
    "spi": (("transfer", 2, "transfer(self, data, now_s)"),),
    "uart": (("read", 1, "read(self, now_s)"), ("write", 2, "write(self, data, now_s)")),
}
_OPTIONAL_METHODS = frozenset({"write"})


class ModelClass(msgspec.Struct, frozen=True):
    """Checked class of a chip. `addresses` is empty unless it is on I2C; `keys` have defaults."""

    file: Path
    name: str
    make: type
    bus: str
    addresses: tuple[int, ...]
    keys: dict[str, float]
    baud: int = DEFAULT_BAUD

    @property
    def places(self) -> list[str]:
        """Names of the places on the board that it takes."""
        return [f"0x{address:02x}" for address in self.addresses] or [self.bus]


class Loaded(NamedTuple):
    """Chips of one file, and a sentence for each mistake in it."""

    chips: list[ModelClass]
    problems: list[str]


class _WrongModelError(BadDataError):
    """A class is no model of a chip; the message says why."""


def load(file: Path) -> Loaded:
    """Return the chips of `file`. Each mistake names file and line, and costs that chip only."""
    try:
        source = file.read_bytes()
        lines = _class_lines(ast.parse(source, str(file)))
        with bounded(file):
            module = _executed(file, source)
    except (Exception, SystemExit) as e:  # noqa: BLE001 - the author's code may raise anything
        return Loaded([], [failure(file, e)])
    chips, problems = [], []
    for name, made in _chips_in(module):
        try:
            chips.append(_checked(file, name, made))
        except _WrongModelError as e:
            problems.append(f"{file}:{lines.get(name, 1)}: {name}: {e}")
    if not chips and not problems:
        problems.append(
            f"{file}: found no chip, expected a class with bus = {' or '.join(map(repr, _BUSES))}"
        )
    return Loaded(chips, problems)


def failure(file: Path, error: BaseException) -> str:
    """Return one line that names where in `file` the error arose, its type and its text."""
    text = f"{type(error).__name__}: {error}".partition("\n")[0].removesuffix(": ")
    if isinstance(error, SyntaxError):
        return f"{file}:{error.lineno or 1}: {error.msg}"
    if isinstance(error, OSError) and error.filename == str(file):
        return f"{file}: {error.strerror}"
    if isinstance(error, ModuleNotFoundError):
        text += f"; {FILE_NAME} is alone: it finds the standard library, not the plugin's modules"
    return f"{_place(file, error)}: {text}"


def _place(file: Path, error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(file)]
    return f"{file}:{lines[-1]}" if lines else str(file)


def _executed(file: Path, source: bytes) -> dict[str, Any]:
    """Run the file as a module of its own, which leaves no compiled file and no name behind."""
    module = ModuleType(file.stem)
    module.__file__ = str(file)
    exec(compile(source, str(file), "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - see above
    return module.__dict__


def _class_lines(tree: ast.Module) -> dict[str, int]:
    return {node.name: node.lineno for node in tree.body if isinstance(node, ast.ClassDef)}


def _chips_in(module: Mapping[str, Any]) -> Iterator[tuple[str, type]]:
    """Yield the public classes that the file itself defines and that name a bus."""
    for name, thing in module.items():
        is_own = isinstance(thing, type) and thing.__module__ == module["__name__"]
        if is_own and not name.startswith("_") and hasattr(thing, "bus"):
            yield name, thing


def _checked(file: Path, name: str, made: type) -> ModelClass:
    """Return the class with what it declares. Raises _WrongModelError."""
    bus = getattr(made, "bus", None)
    if bus not in _BUSES:
        raise _WrongModelError(f"bus: found {bus!r}, expected one of {', '.join(_BUSES)}")
    _check_methods(made, bus)
    try:
        with bounded(file):
            made()
    except Exception as e:
        raise _WrongModelError(f"cannot be made without arguments: {failure(file, e)}") from e
    return ModelClass(
        file=file,
        name=name,
        make=made,
        bus=bus,
        addresses=_addresses(made) if bus == "i2c" else (),
        keys=_keys(made),
        baud=_baud(made),
    )


def _check_methods(made: type, bus: str) -> None:
    for name, arguments, signature in _METHODS[bus]:
        method = getattr(made, name, None)
        if method is None and name in _OPTIONAL_METHODS:
            continue
        if not callable(method):
            raise _WrongModelError(f"found no method {name}, expected {signature}")
        try:
            inspect.signature(method).bind(*[None] * (arguments + 1))
        except TypeError as e:
            raise _WrongModelError(f"{name}: {e}; expected {signature}") from e


def _addresses(made: type) -> tuple[int, ...]:
    several = getattr(made, "addresses", None)
    found = (getattr(made, "address", None),) if several is None else several
    try:
        addresses = tuple(found)
    except TypeError:
        addresses = ()
    is_valid = all(type(address) is int and address in _ADDRESSES for address in addresses)
    if not is_valid or not addresses or len(set(addresses)) != len(addresses):
        shown = found if several is not None else found[0]
        raise _WrongModelError(
            f"address: found {shown!r}, expected address = 0x23 or addresses = (0x23, 0x5c), "
            f"each from 0x{_ADDRESSES[0]:02x} to 0x{_ADDRESSES[-1]:02x} and once"
        )
    return addresses


def _baud(made: type) -> int:
    baud: object = getattr(made, "baud", DEFAULT_BAUD)
    if type(baud) is not int or baud <= 0:
        raise _WrongModelError(f"baud: found {baud!r}, expected bits per second, such as 9600")
    return baud


def _keys(made: type) -> dict[str, float]:
    """Return the scenario keys of a class and of those that it inherits from."""
    attributes: dict[str, Any] = {}
    for owner in reversed(made.__mro__):
        attributes |= vars(owner)
    return {name: float(value) for name, value in attributes.items() if _is_key(name, value)}


def _is_key(name: str, value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and name.islower() and not name.startswith("_") and name not in _OWN_NAMES
