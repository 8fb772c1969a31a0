"""Options of a new node: its area, and hardware that gives no sign of itself, by BCM pins."""

import argparse

import msgspec

from bus.contract.bounds import Word
from bus.contract.join import Attached
from bus.errors import MisconfiguredError


def define(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--area", default="", help="where the node is, for people")
    group = parser.add_argument_group("what is attached, by BCM pins")
    group.add_argument("--dht22", type=int, action="append", default=[], metavar="PIN")
    group.add_argument("--leds", type=int, default=0, metavar="COUNT", help="LEDs of a strip")
    group.add_argument("--leds-pin", type=int, default=Attached().leds_pin, metavar="PIN")
    group.add_argument("--buzzer", type=int, metavar="PIN", help="pin of its relay")
    group.add_argument("--fan", type=int, metavar="PIN", help="pin of its relay")


def read(options: argparse.Namespace) -> Attached:
    """Return what the options name. Raises MisconfiguredError."""
    named = {field: getattr(options, field) for field in Attached.__struct_fields__}
    try:
        return msgspec.convert(named, Attached)
    except msgspec.ValidationError as e:
        raise MisconfiguredError(f"what is attached: {e}") from e


def read_area(options: argparse.Namespace) -> str:
    """Return the area. Raises MisconfiguredError."""
    try:
        return msgspec.convert(options.area, Word)
    except msgspec.ValidationError as e:
        raise MisconfiguredError(f"--area: {e}") from e
