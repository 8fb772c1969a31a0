"""A month of readings of the default system, written through the hub's own history."""

import contextlib
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from bus.config.history_table import HistoryConfig
from bus.contract.messages import Reading, Value
from hub_app.history.events import PRESENCE, Event
from hub_app.history.query.known_names import FILE_NAME
from hub_app.history.retention.housekeeping import Housekeeping
from hub_app.history.schema import open_history
from hub_app.history.writer import Arrival, Writer

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_DAYS = 30
# Readings of the last day are closer together than those before.
_DAY_STEP_MS, _MONTH_STEP_MS = 30_000, 300_000
_BATCH = 2000
# When the Pi Zero was without power, before now.
_OFF_MS = (9 * _HOUR_MS, 8 * _HOUR_MS)

Data = dict[str, Value]


def write(state_dir: Path, now_ms: int) -> None:
    """Write the month before `now_ms` into the state directory of a hub."""
    state_dir.mkdir(mode=0o700, parents=True)
    # The same pictures each time.
    noise = random.Random(7)
    with contextlib.closing(open_history(state_dir / FILE_NAME)) as db:
        writer = Writer(db)
        writer.store([], list(_presences(now_ms)), now_ms)
        for node, sensor in _SENSORS:
            arrivals = [Arrival(each, False) for each in _readings(node, sensor, now_ms, noise)]
            for first in range(0, len(arrivals), _BATCH):
                writer.store(arrivals[first : first + _BATCH], [], now_ms)
        housekeeping = Housekeeping(db, HistoryConfig())
        while housekeeping.step(now_ms, now_ms):
            pass


def _presences(now_ms: int) -> Iterator[Event]:
    began_ms = now_ms - _DAYS * _DAY_MS
    off_ms, on_ms = (now_ms - before for before in _OFF_MS)
    for node in ("revpi", "pi4", "pizero"):
        yield Event(node, began_ms, PRESENCE, f"boot1 {began_ms}", "online")
    yield Event("pizero", off_ms, PRESENCE, f"boot1 {began_ms}", "offline")
    yield Event("pizero", on_ms, PRESENCE, f"boot2 {on_ms}", "online")


def _readings(node: str, sensor: str, now_ms: int, noise: random.Random) -> Iterator[Reading]:
    day_ms = now_ms - _DAY_MS
    stamps = [
        *range(now_ms - _DAYS * _DAY_MS, day_ms, _MONTH_STEP_MS),
        *range(day_ms, now_ms, _DAY_STEP_MS),
    ]
    plugin, values = _SENSORS[node, sensor]
    # The sensors of a node share its sequence numbers.
    siblings = [name for at, name in _SENSORS if at == node]
    off_ms, on_ms = (now_ms - before for before in _OFF_MS)
    for cycle, at_ms in enumerate(stamps):
        seq = cycle * len(siblings) + siblings.index(sensor)
        if node == "pizero" and off_ms <= at_ms < on_ms:
            continue
        stream = "boot2" if node == "pizero" and at_ms >= on_ms else "boot1"
        # The moment of the pictures is the same hour of the day, whenever they are made.
        data = values((at_ms - now_ms) / _HOUR_MS, noise)
        yield Reading(node, sensor, at_ms, f"{node}-{stream}", seq, data, plugin)


def _wave(hours: float, period_h: float = 24.0) -> float:
    return math.sin(2 * math.pi * hours / period_h)


def _bump(hours: float, center_h: float, width_h: float) -> float:
    """Return a rise and fall that comes every day, `center_h` hours before now."""
    distance = (hours + center_h + 12) % 24 - 12
    return math.exp(-((distance / width_h) ** 2))


def _temperature(hours: float, noise: random.Random) -> float:
    weather = 0.9 * _wave(hours, 9.3 * 24) + 0.4 * _wave(hours, 75)
    return 23.6 + 1.7 * _wave(hours - 1) + weather + noise.gauss(0, 0.05)


def _humidity(hours: float, noise: random.Random) -> float:
    shower = 14 * _bump(hours, 10.5, 0.5)
    return 43 - 4 * _wave(hours) + 3 * _wave(hours, 6.1 * 24) + shower + noise.gauss(0, 0.25)


def _room(hours: float, noise: random.Random) -> Data:
    return {
        "temperature": round(_temperature(hours, noise), 1),
        "humidity": round(_humidity(hours, noise), 1),
    }


def _air(hours: float, noise: random.Random) -> Data:
    cooking = 110 * _bump(hours, 3.5, 0.7) + 45 * _bump(hours, 13, 1.2)
    score = max(12.0, 38 + cooking + 8 * _wave(hours, 60) + noise.gauss(0, 3))
    return {
        "temperature": _temperature(hours, noise) + 0.4,
        "humidity": _humidity(hours, noise) - 1.5,
        "pressure": 1013 + 9 * _wave(hours, 11.2 * 24) + 2 * _wave(hours, 31),
        "gas_resistance": 180 - 0.9 * score + noise.gauss(0, 1),
        "iaq_score": round(score),
        "iaq_accuracy": 3,
    }


def _machine(total_mb: int, idle_c: float) -> Callable[[float, random.Random], Data]:
    def values(hours: float, noise: random.Random) -> Data:
        busy = 30 * _bump(hours, 20, 0.4) + 8 * abs(_wave(hours, 3))
        load = max(1.0, 6 + busy + noise.gauss(0, 2))
        return {
            "cpu_temp": idle_c + load / 5 + noise.gauss(0, 0.3),
            "cpu_usage": load,
            "memory_used_mb": round(total_mb * (0.31 + 0.02 * _wave(hours, 50))),
            "memory_total_mb": total_mb,
            "uptime_seconds": round((hours + _DAYS * 24) * 3600),
        }

    return values


def _ping(hours: float, noise: random.Random) -> Data:
    return {"host": "127.0.0.1", "up": True, "rtt_ms": abs(0.4 + noise.gauss(0, 0.08))}


# Plugin and values of each sensor of the default system.
_SENSORS: dict[tuple[str, str], tuple[str, Callable[[float, random.Random], Data]]] = {
    ("pi4", "dht22-gpio4"): ("dht22", _room),
    ("pi4", "bme680-0x77"): ("bme680", _air),
    ("pi4", "pi4-monitor"): ("pi4-monitor", _machine(3794, 44.0)),
    ("pizero", "bme680-0x76"): ("bme680", _air),
    ("pizero", "pizero-monitor"): ("pizero-monitor", _machine(416, 41.0)),
    ("pizero", "ping-revpi"): ("ping", _ping),
    ("pizero", "ping-pi4"): ("ping", _ping),
    ("revpi", "revpi-monitor"): ("revpi-monitor", _machine(992, 46.0)),
}
