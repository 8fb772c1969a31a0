"""MCP3008 driver against the datasheet, and against the simulated chip."""

import pytest

from examples.mcp3008.driver import Mcp3008, Mcp3008Error
from examples.mcp3008.simulated import Mcp3008 as SimulatedMcp3008

VOLTS = (0.0, 0.4, 0.8, 1.2, 1.65, 2.5, 3.2, 3.3)


@pytest.mark.parametrize("channel", range(8))
def test_each_input_is_read_to_one_step(channel: int) -> None:
    chip = SimulatedMcp3008()
    for number, volts in enumerate(VOLTS):
        setattr(chip, f"input_{number}_v", volts)
    measured = Mcp3008(lambda data: chip.transfer(data, 0.0), 3.3).volts(channel)
    assert VOLTS[channel] - 3.3 / 1024 <= measured <= VOLTS[channel]


def test_the_command_is_that_of_the_datasheets_figure() -> None:
    sent = []

    def transfer(data: bytes) -> bytes:
        sent.append(data)
        return b"\xff\xfb\xff"  # what comes before the null bit means nothing

    assert Mcp3008(transfer, 5.0).volts(5) == pytest.approx(5.0 * 1023 / 1024)
    assert sent == [b"\x01\xd0\x00"]


@pytest.mark.parametrize("answer", [b"\xff\xff\xff", b"", b"\x00"])
def test_an_undriven_line_is_no_voltage(answer: bytes) -> None:
    with pytest.raises(Mcp3008Error, match="no answer"):
        Mcp3008(lambda _: answer, 3.3).volts(0)


@pytest.mark.parametrize("channel", [-1, 8])
def test_there_are_eight_inputs(channel: int) -> None:
    with pytest.raises(ValueError, match="expected 0 to 7"):
        Mcp3008(lambda data: data, 3.3).volts(channel)


def test_the_simulated_chip_takes_its_start_bit_anywhere() -> None:
    chip = SimulatedMcp3008()
    chip.input_2_v = 3.3
    # Figure 5-1: start, single-ended, channel 2, unpadded: the value follows the null bit at once.
    assert chip.transfer(b"\xd0\x00\x00", 0.0) == bytes.fromhex("01ff80")
    assert chip.transfer(b"\x00\x00", 0.0) == b"\x00\x00"
