import math
import re
import struct
from decimal import Decimal
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import BadDataError
from node_agent.plugins.readings import NARROW_NOT_MEASURED, Sample, samples
from tests.built_components import WIT


def record(**fields: object) -> SimpleNamespace:
    return SimpleNamespace(**{name.replace("_", "-"): value for name, value in fields.items()})


def test_a_record_becomes_a_reading_with_snake_case_fields() -> None:
    polled = [record(sensor_id="dht22-gpio4", timestamp_ms=5, gas_resistance=1.5)]
    assert samples(polled, "dht22") == [Sample("dht22-gpio4", 5, {"gas_resistance": 1.5})]


def test_a_single_record_without_an_id_is_named_after_its_plugin() -> None:
    assert samples(record(timestamp_ms=5, cpu_usage=2.0), "pi4-monitor") == [
        Sample("pi4-monitor", 5, {"cpu_usage": 2.0})
    ]


def test_listed_values_stand_beside_the_fields() -> None:
    polled = [record(sensor_id="gps", timestamp_ms=5, values=[("ground-speed", 2.5)])]
    assert samples(polled, "gps")[0].data == {"ground_speed": 2.5}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_was_not_measured_is_absent(value: float) -> None:
    polled = record(timestamp_ms=5, cpu_temp=value, cpu_usage=2.0)
    assert samples(polled, "p")[0].data == {"cpu_usage": 2.0}


def test_a_narrow_integer_with_all_bits_set_is_absent_in_its_own_field_only() -> None:
    polled = record(timestamp_ms=5, iaq_score=0xFFFF, iaq_accuracy=0, uptime_seconds=0xFFFF)
    assert samples(polled, "p")[0].data == {"iaq_accuracy": 0, "uptime_seconds": 0xFFFF}
    polled = record(timestamp_ms=5, iaq_score=0, iaq_accuracy=0xFF, memory_used_mb=0xFF)
    assert samples(polled, "p")[0].data == {"iaq_score": 0, "memory_used_mb": 0xFF}


def test_every_narrow_integer_of_the_contracts_readings_is_known_with_its_width() -> None:
    records = re.findall(r"record [a-z0-9-]+ \{(.*?)\n    \}", WIT.read_text(), re.DOTALL)
    fields = re.findall(r"^ +([a-z-]+): u(8|16),", "".join(records), re.MULTILINE)
    assert {name: (1 << int(bits)) - 1 for name, bits in fields} == NARROW_NOT_MEASURED


@pytest.mark.parametrize("sensor_id", ["", "a/b", "a+b", "#", "A", "x" * 10_000, "cmd"])
def test_an_id_that_no_topic_holds_is_refused(sensor_id: str) -> None:
    with pytest.raises(BadDataError, match="sensor id"):
        samples([record(sensor_id=sensor_id, timestamp_ms=5)], "p")


def test_a_record_without_a_time_is_refused() -> None:
    with pytest.raises(BadDataError, match="timestamp-ms"):
        samples([record(sensor_id="x")], "p")


def test_too_many_values_are_refused() -> None:
    values = [(f"v{n}", 1.0) for n in range(65)]
    with pytest.raises(BadDataError, match="65 values"):
        samples([record(sensor_id="x", timestamp_ms=5, values=values)], "p")


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_an_f32_keeps_its_value_and_loses_invented_digits(value: float) -> None:
    shown = samples(record(timestamp_ms=1, x=value), "p")[0].data["x"]
    assert isinstance(shown, float)
    assert struct.pack("f", shown) == struct.pack("f", value)
    assert digits(shown) <= digits(value)


def digits(value: float) -> int:
    return len(Decimal(repr(value)).normalize().as_tuple().digits)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_is_kept_as_it_is(value: float) -> None:
    assert samples(record(timestamp_ms=1, values=[("x", value)]), "p")[0].data == {"x": value}


def test_a_temperature_reads_as_the_sensor_gave_it() -> None:
    as_f32 = struct.unpack("f", struct.pack("f", 23.1))[0]
    assert samples(record(timestamp_ms=1, t=as_f32), "p")[0].data == {"t": 23.1}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([("a-b", 1.0), ("a_b", 2.0)], "found two values called a_b: 'a-b' and 'a_b'"),
        ([("t", 1.0), ("t", 2.0)], "found two values called t: 't' and 't'"),
        ([("a-b", math.nan), ("a_b", 2.0)], "found two values called a_b: 'a-b' and 'a_b'"),
        ([("", 1.0)], "found a value named '', expected 1 to 64 printable letters"),
        ([("x" * 65, 1.0)], "expected 1 to 64 printable letters"),
        ([("a\nb", 1.0)], r"found a value named 'a\nb'"),
    ],
)
def test_a_value_without_a_name_of_its_own_is_refused(
    values: list[tuple[str, float]], said: str
) -> None:
    polled = [record(sensor_id="climate", timestamp_ms=5, values=values)]
    with pytest.raises(BadDataError) as raised:
        samples(polled, "p")
    assert str(raised.value).startswith("climate: ")
    assert said in str(raised.value)


def test_a_listed_value_does_not_replace_a_field() -> None:
    polled = [record(sensor_id="x", timestamp_ms=5, cpu_temp=1.0, values=[("cpu_temp", 2.0)])]
    with pytest.raises(BadDataError, match="two values called cpu_temp: 'cpu-temp' and"):
        samples(polled, "p")


def test_two_readings_of_one_sensor_in_a_poll_are_refused() -> None:
    polled = [record(sensor_id="x", timestamp_ms=time, t=1.0) for time in (5, 6)]
    with pytest.raises(BadDataError, match="x: found 2 readings, expected one a poll"):
        samples(polled, "p")


@pytest.mark.parametrize("timestamp_ms", [-1, 2**64 - 1])
def test_a_time_that_no_clock_shows_is_refused(timestamp_ms: int) -> None:
    with pytest.raises(BadDataError, match=f"x: timestamp-ms: found {timestamp_ms}"):
        samples([record(sensor_id="x", timestamp_ms=timestamp_ms, t=1.0)], "p")
