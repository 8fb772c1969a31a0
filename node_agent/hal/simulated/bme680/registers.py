"""Calibration registers of a BME680 (datasheet BST-BME680-DS001, sections 3.3 and 5.2)."""

from node_agent.hal.simulated.bme680.physics import Calibration

# Bits beside a coefficient hold other factory data; these make a driver without the mask fail.
_BESIDE_HEAT_RANGE = 0x4B
_BESIDE_SW_ERR = 0x05


def calibration_registers(cal: Calibration) -> dict[int, bytes]:
    """Return the bytes of the three blocks of coefficients by the address of their first byte."""
    return {0x00: _heater_block(cal), 0x8A: _first_block(cal), 0xE1: _second_block(cal)}


def calibration_of(registers: bytes | bytearray) -> Calibration:
    """Return the coefficients that all 256 `registers` hold."""

    def signed(address: int, size: int = 1) -> int:
        return int.from_bytes(registers[address : address + size], "little", signed=True)

    def unsigned(address: int, size: int = 1) -> int:
        return int.from_bytes(registers[address : address + size], "little")

    sw_err = registers[0x04] >> 4
    return Calibration(
        t1=unsigned(0xE9, 2),
        t2=signed(0x8A, 2),
        t3=signed(0x8C),
        p1=unsigned(0x8E, 2),
        p2=signed(0x90, 2),
        p3=signed(0x92),
        p4=signed(0x94, 2),
        p5=signed(0x96, 2),
        p6=signed(0x99),
        p7=signed(0x98),
        p8=signed(0x9C, 2),
        p9=signed(0x9E, 2),
        p10=unsigned(0xA0),
        h1=registers[0xE3] << 4 | registers[0xE2] & 0x0F,
        h2=registers[0xE1] << 4 | registers[0xE2] >> 4,
        h3=signed(0xE4),
        h4=signed(0xE5),
        h5=signed(0xE6),
        h6=unsigned(0xE7),
        h7=signed(0xE8),
        gh1=signed(0xED),
        gh2=signed(0xEB, 2),
        gh3=signed(0xEE),
        res_heat_range=registers[0x02] >> 4 & 3,
        res_heat_val=signed(0x00),
        range_sw_err=sw_err - 16 if sw_err > 7 else sw_err,
    )


def _heater_block(cal: Calibration) -> bytes:
    return bytes(
        (
            cal.res_heat_val & 0xFF,
            0,
            cal.res_heat_range << 4 | _BESIDE_HEAT_RANGE,
            0,
            (cal.range_sw_err & 0x0F) << 4 | _BESIDE_SW_ERR,
        )
    )


def _first_block(cal: Calibration) -> bytes:
    return b"".join(
        (
            _word(cal.t2),
            _byte(cal.t3),
            b"\0",
            _word(cal.p1),
            _word(cal.p2),
            _byte(cal.p3),
            b"\0",
            _word(cal.p4),
            _word(cal.p5),
            _byte(cal.p7),
            _byte(cal.p6),
            b"\0\0",
            _word(cal.p8),
            _word(cal.p9),
            _byte(cal.p10),
        )
    )


def _second_block(cal: Calibration) -> bytes:
    return b"".join(
        (
            # The two 12-bit coefficients share 0xE2: h2 its upper nibble, h1 its lower one.
            _byte(cal.h2 >> 4),
            _byte((cal.h2 & 0x0F) << 4 | cal.h1 & 0x0F),
            _byte(cal.h1 >> 4),
            *(_byte(value) for value in (cal.h3, cal.h4, cal.h5, cal.h6, cal.h7)),
            _word(cal.t1),
            _word(cal.gh2),
            _byte(cal.gh1),
            _byte(cal.gh3),
        )
    )


def _byte(value: int) -> bytes:
    return bytes((value & 0xFF,))


def _word(value: int) -> bytes:
    return (value & 0xFFFF).to_bytes(2, "little")
