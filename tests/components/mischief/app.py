"""Does whatever the test asks for: the mode comes through plugin-state, as nothing else can."""

import math
import os
import sys
import time
import traceback

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.sensor_logic import Reading
from wit_world.imports import (
    buzzer_controller,
    gpio_provider,
    i2c,
    led_controller,
    plugin_state,
    spi,
    system_info,
    uart,
)

CODEC = "cp1252"

polls = 0


def endless() -> list[Reading]:
    while True:
        pass


def recurse() -> list[Reading]:
    def deeper(n: int) -> int:
        return deeper(n + 1) + 1

    deeper(0)
    return []


def hog() -> list[Reading]:
    held = []
    while True:
        held.append(bytearray(1 << 20))


def fail() -> list[Reading]:
    raise ValueError("the sensor is on fire")


def leave() -> list[Reading]:
    sys.exit(3)


def several() -> list[Reading]:
    raise ExceptionGroup("several", [ValueError("a"), TypeError("b")])


def unended_line() -> list[Reading]:
    print("no line end", end="", file=sys.stderr)
    raise ValueError("after half a line")


def nest() -> list[Reading]:
    nested: list[object] = []
    for _ in range(200_000):
        nested = [nested]
    return one(repr(nested), [])


def sleep() -> list[Reading]:
    time.sleep(3600)
    return []


def nonsense() -> list[Reading]:
    return "not a list"


def none_value() -> list[Reading]:
    good = one("good", [("temperature", 1.0)])
    bad = one("bad", [("temperature", None)])
    return [good, bad]


def text_value() -> list[Reading]:
    return [one("odd", [("a", "21.5")])]


def number_id() -> list[Reading]:
    return [Reading(7, 1, [("a", 1.0)])]


def negative_time() -> list[Reading]:
    return [Reading("odd", -1, [("a", 1.0)])]


def pair_of_three() -> list[Reading]:
    return [Reading("odd", 1, [("a", 1.0, 2.0)])]


def wrong_led() -> list[Reading]:
    led_controller.set_led(400, 0, 0, 0)
    return count()


def wrong_bytes() -> list[Reading]:
    spi.transfer([1, 2])
    return count()


def wrong_err() -> list[Reading]:
    raise Err(5)


def lazy_imports() -> list[Reading]:
    """Use what is imported, or looked up by name, only when this runs."""
    import datetime as dt
    import statistics
    from decimal import Decimal

    euro = b"\x80".decode(CODEC) == "\u20ac"
    year = dt.datetime.strptime("2024-02-29 +0000", "%Y-%m-%d %z").year
    values = [("euro", euro), ("year", year), ("half", Decimal("0.5"))]
    return [one("lazy", [*values, ("mean", statistics.mean([1, 3]))])]


def warn() -> list[Reading]:
    print("the sensor is slow", file=sys.stderr)
    return count()


def print_exception() -> list[Reading]:
    try:
        fail()
    except ValueError:
        traceback.print_exc()
    return count()


def not_finite() -> list[Reading]:
    return [one("odd", [("nan", math.nan), ("inf", math.inf), ("fine", 1.5)])]


def nothing_finite() -> list[Reading]:
    return [one("odd", [("nan", math.nan), ("nan2", -math.nan)])]


def bad_id() -> list[Reading]:
    return [one("a/b", [("x", 1.0)])]


def named() -> list[Reading]:
    return [one(plugin_state.get("id") or "", [("x", 1.0)])]


def huge_string() -> list[Reading]:
    return [one("x" * 100_000_000, [("x", 1.0)])]


def large_string() -> list[Reading]:
    return [one("x" * 4_000_000, [("x", 1.0)])]


def many_readings() -> list[Reading]:
    return [one("x", [("x", 1.0)])] * 20_000


def many_values() -> list[Reading]:
    return [one("x", [("x", 1.0)] * 20_000)]


def huge_print() -> list[Reading]:
    print("x" * 100_000_000)
    return count()


def long_print() -> list[Reading]:
    part = "x" * 1_000_000
    while True:
        print(part)


def flood() -> list[Reading]:
    for number in range(1000):
        print(f"line {number}")
    return count()


def endless_flood() -> list[Reading]:
    while True:
        print("and again")


def led_storm() -> list[Reading]:
    for number in range(5_000_000):
        led_controller.set_led(1, number & 255, 0, 0)
    return count()


def long_transfer() -> list[Reading]:
    spi.transfer(bytes(4_000_000))
    return count()


def long_state() -> list[Reading]:
    for number in range(20):
        try:
            plugin_state.set(f"key{number}", "x" * 2_000_000)
        except Err as e:
            print(e.value)
    return count()


def complain() -> list[Reading]:
    raise Err("no answer from the sensor")


def look_around() -> list[Reading]:
    found = [("environment", float(len(os.environ)))]
    try:
        found.append(("files", float(len(os.listdir("/")))))
    except OSError:
        found.append(("files", 0.0))
    return [one("outside", found)]


def touch_everything() -> list[Reading]:
    """Call every capability; what was refused is in the values as 1."""
    calls = {
        "dht22": lambda: gpio_provider.read_dht22(4),
        "i2c": lambda: i2c.transfer(0x77, "d0", 1),
        "spi": lambda: spi.transfer(b"\x01\x02"),
        "uart": lambda: uart.read(10),
        "state": lambda: plugin_state.set("polls", str(polls)),
    }
    led_controller.set_all(1, 2, 3)
    led_controller.set_led(5, 9, 9, 9)
    buzzer_controller.beep(1, 20, 0)
    values = []
    for name, call in calls.items():
        try:
            call()
            values.append((name, 0.0))
        except Err as e:
            print(f"{name}: {e.value}")
            values.append((name, 1.0))
    values.append(("memory", float(system_info.get_memory_usage()[1])))
    return [one("touched", values)]


def count() -> list[Reading]:
    print(f"poll {polls}")
    return [one("counter", [("polls", float(polls))])]


def one(sensor_id: str, values: list[tuple[str, float]]) -> Reading:
    return Reading(sensor_id, gpio_provider.get_timestamp_ms(), values)


class SensorLogic(exports.SensorLogic):
    def poll(self) -> list[Reading]:
        global polls
        polls += 1
        mode = plugin_state.get("mode") or "count"
        return globals()[mode]()
