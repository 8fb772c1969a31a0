"""Outputs of a disabled plugin: what it owns goes dark, what others own stays."""

import queue

from bus.config.settings import Grant
from bus.contract.commands import Pattern
from bus.contract.messages import Buzzer, Fan
from node_agent.actuators.buzzer import SILENT, BuzzerPlayer
from node_agent.actuators.fan import FanControl
from node_agent.actuators.led_buffer import LedBuffer
from node_agent.hal.capabilities import BLACK, Color
from node_agent.plugins.outputs import darken
from node_agent.plugins.wit_imports import NodeParts
from tests.node_agent.sandbox.test_instance import FakeHardware
from tests.support import WAIT_S

GREEN = Color(0, 255, 0)
DISPLAYS = ("0x3c", "0x3d")


class NotedTransfers(FakeHardware):
    """Hardware that notes what is sent over I2C."""

    def __init__(self, *, answers: bool = True) -> None:
        super().__init__(answers=answers)
        self.sent: list[tuple[int, bytes]] = []

    def i2c_transfer(self, address: int, data: bytes, read_len: int) -> bytes:
        self.sent.append((address, data))
        return super().i2c_transfer(address, data, read_len)


def parts(
    hardware: FakeHardware, buzzer: BuzzerPlayer | None = None, fan: FanControl | None = None
) -> NodeParts:
    return NodeParts(hardware, LedBuffer(4), buzzer, fan, display_addresses=DISPLAYS)


def test_only_the_leds_of_the_plugin_go_out() -> None:
    node = parts(FakeHardware())
    node.leds.set_all(GREEN)
    darken("dht22", Grant(leds=[1, 3]), node)
    assert node.leds.show(lambda _pixels: None) == [GREEN, BLACK, GREEN, BLACK]


def test_only_the_display_of_the_plugin_is_switched_off() -> None:
    hardware = NotedTransfers()
    darken("oled", Grant(i2c=["0x3C", "0x77"]), parts(hardware))
    assert hardware.sent == [(0x3C, b"\x00\xae")]


def test_a_display_that_does_not_answer_keeps_nothing_else_lit() -> None:
    node = parts(NotedTransfers(answers=False))
    node.leds.set_all(GREEN)
    darken("oled", Grant(i2c=["0x3c"], leds=[0]), node)
    assert node.leds.show(lambda _pixels: None) == [BLACK, GREEN, GREEN, GREEN]


def test_the_fan_of_the_plugin_is_released_unless_a_person_decides() -> None:
    relay: list[bool] = []
    fan = FanControl(relay.append, lambda _state: None)
    fan.demand(on=True)
    darken("pi4-monitor", Grant(fan=True), parts(FakeHardware(), fan=fan))
    assert relay == [True, False]
    fan.set_mode("on")
    darken("pi4-monitor", Grant(fan=True), parts(FakeHardware(), fan=fan))
    assert fan.state == Fan(on=True, mode="on")


def test_the_alarm_of_the_plugin_ends_and_that_of_another_sounds() -> None:
    states: queue.Queue[Buzzer] = queue.Queue()
    buzzer = BuzzerPlayer(lambda _on: None, states.put, longest_on_ms=3_600_000)
    with buzzer:
        # An hour: only its end by the host lets this test go on.
        buzzer.enqueue(Pattern(1, 3_600_000, 0), "dht22")
        assert states.get(timeout=WAIT_S) == Buzzer(sounding=True, pattern="dht22")
        darken("dht22", Grant(buzzer=True), parts(FakeHardware(), buzzer=buzzer))
        assert states.get(timeout=WAIT_S) == SILENT
        buzzer.enqueue(Pattern(1, 10, 0), "bme680")
        assert states.get(timeout=WAIT_S) == Buzzer(sounding=True, pattern="bme680")
