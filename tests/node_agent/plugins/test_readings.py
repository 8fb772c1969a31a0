import math
import struct
from decimal import Decimal
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import BadDataError
from node_agent.plugins.readings import Sample, samples


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
