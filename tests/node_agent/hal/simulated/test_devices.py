import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_agent.hal.capabilities import BLACK, Climate, Color, Relay
from node_agent.hal.errors import BadDeviceDataError, DeviceUnavailableError
from node_agent.hal.simulated import dht22
from node_agent.hal.simulated.recorder import Recorder
from node_agent.hal.simulated.relay import SimulatedRelay
from node_agent.hal.simulated.scenario import Scenario
from node_agent.hal.simulated.spi_bus import SimulatedSpiBus
from node_agent.hal.simulated.strip import SimulatedStrip
from node_agent.hal.simulated.wire import Wire

NOTHING = Recorder("")
RED = Color(255, 0, 0)


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@given(st.floats(-40, 80), st.floats(0, 100))
def test_a_dht22_answer_is_the_climate_to_a_tenth(t_c: float, h_pct: float) -> None:
    received = dht22.decoded(dht22.sent_bytes(Climate(t_c, h_pct)), "dht22-gpio4")
    assert received.temperature_c == pytest.approx(t_c, abs=0.0501)
    assert received.humidity_pct == pytest.approx(h_pct, abs=0.0501)


def test_a_dht22_sends_the_datasheets_examples() -> None:
    assert dht22.sent_bytes(Climate(35.1, 65.2)).hex(" ") == "02 8c 01 5f ee"
    assert dht22.sent_bytes(Climate(-10.1, 65.2)).hex(" ") == "02 8c 80 65 73"


@given(st.integers(0, 39))
def test_any_single_wrong_bit_of_a_dht22_answer_is_noticed(bit: int) -> None:
    sent = int.from_bytes(dht22.sent_bytes(Climate(21.5, 45.0)), "big")
    with pytest.raises(BadDeviceDataError, match="dht22-gpio4: wrong checksum"):
        dht22.decoded((sent ^ 1 << bit).to_bytes(5, "big"), "dht22-gpio4")


def test_a_relay_remembers_its_changes_and_when() -> None:
    clock = Clock()
    relay = SimulatedRelay(Relay.BUZZER, NOTHING, clock)
    for clock.now_s, on in ((1.0, True), (2.0, True), (3.0, False)):
        relay.set(on=on)
    assert relay.events == ((1.0, Relay.BUZZER, True), (3.0, Relay.BUZZER, False))


def test_the_first_setting_of_a_relay_is_an_event_whatever_it_is() -> None:
    clock = Clock()
    relay = SimulatedRelay(Relay.BUZZER, NOTHING, clock)
    assert not relay.on
    for _ in range(2):
        relay.set(on=False)
    assert relay.events == ((0.0, Relay.BUZZER, False),)


def test_a_relay_that_was_never_set_is_left_alone_when_closed() -> None:
    relay = SimulatedRelay(Relay.FAN, NOTHING)
    relay.close()
    assert relay.events == ()


def test_a_relay_is_released_when_closed_and_cannot_be_used_after() -> None:
    relay = SimulatedRelay(Relay.FAN, NOTHING)
    relay.set(on=True)
    relay.close()
    relay.close()
    assert not relay.on
    assert [event.on for event in relay.events] == [True, False]
    with pytest.raises(DeviceUnavailableError, match="fan relay is closed"):
        relay.set(on=True)


def test_a_strip_shows_what_was_written_last_and_darkens_when_closed() -> None:
    strip = SimulatedStrip(3, NOTHING)
    strip.show([RED])
    assert strip.pixels == (RED, BLACK, BLACK)
    assert strip.writes == 1
    strip.close()
    strip.close()
    assert strip.pixels == (BLACK, BLACK, BLACK)
    assert strip.writes == 2
    with pytest.raises(DeviceUnavailableError, match="closed"):
        strip.show([RED])


def test_a_strip_refuses_more_pixels_than_it_has_and_colours_that_are_none() -> None:
    strip = SimulatedStrip(2, NOTHING)
    with pytest.raises(BadDeviceDataError, match="found 3 pixels, expected at most 2"):
        strip.show([RED] * 3)
    with pytest.raises(BadDeviceDataError, match=r"pixel 1: found \(0, 256, 0\)"):
        strip.show([RED, Color(0, 256, 0)])
    assert strip.writes == 0


def test_spi_comes_back_as_it_was_sent(clock: Clock) -> None:
    spi = SimulatedSpiBus(Wire("spi", "spi 0.0", Scenario(), clock))
    assert spi.transfer(b"\x01\x02\xff") == b"\x01\x02\xff"
    spi.close()
    with pytest.raises(DeviceUnavailableError, match="closed"):
        spi.transfer(b"")
