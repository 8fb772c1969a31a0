"""Reference arithmetic of the BME680 in exact rational numbers, written from the datasheet.

It shares nothing with the driver: coefficients come from register addresses one by one, and the gas
constants are the multiplied-out ones of the datasheet's section 3.4.1.
"""

import random
from fractions import Fraction
from typing import NamedTuple

# Section 3.4.1, const_array1 and const_array2; the latter is 1 / (range step * correction).
CONST_ARRAY_1 = [
    Fraction(s)
    for s in "1 1 1 1 1 0.99 1 0.992 1 1 0.998 0.995 1 0.99 1 1".split()  # noqa: SIM905 - easier to check by eye
]
_RANGE_CORRECTION = {
    4: Fraction("1.001"),
    5: Fraction("1.007"),
    7: Fraction("0.992"),
    8: Fraction("0.999"),
}
CONST_ARRAY_2 = [Fraction(8_000_000, 2**r) / _RANGE_CORRECTION.get(r, 1) for r in range(16)]


class Expected(NamedTuple):
    temperature_c: Fraction
    pressure_hpa: Fraction
    humidity_pct: Fraction
    gas_ohm: Fraction
    # Before the datasheet's clamp to 0 to 100 %RH.
    unclamped_humidity_pct: Fraction


def signed(image: bytes, address: int, size: int = 1) -> int:
    return int.from_bytes(image[address : address + size], "little", signed=True)


def unsigned(image: bytes, address: int, size: int = 1) -> int:
    return int.from_bytes(image[address : address + size], "little")


def expected(image: bytes) -> Expected:
    """Return the values in the 256 registers of a BME680."""
    t_fine = _t_fine(image)
    humidity = _humidity(image, t_fine)
    return Expected(
        temperature_c=t_fine / 5120,
        pressure_hpa=_pressure(image, t_fine),
        humidity_pct=min(Fraction(100), max(Fraction(0), humidity)),
        gas_ohm=_gas(image),
        unclamped_humidity_pct=humidity,
    )


def _t_fine(image: bytes) -> Fraction:
    adc = int.from_bytes(image[0x22:0x25], "big") >> 4
    t1, t2, t3 = unsigned(image, 0xE9, 2), signed(image, 0x8A, 2), signed(image, 0x8C)
    return (Fraction(adc, 16384) - Fraction(t1, 1024)) * t2 + (
        Fraction(adc, 131072) - Fraction(t1, 8192)
    ) ** 2 * t3 * 16


def _pressure(image: bytes, t_fine: Fraction) -> Fraction:
    adc = int.from_bytes(image[0x1F:0x22], "big") >> 4
    p1, p2, p3 = unsigned(image, 0x8E, 2), signed(image, 0x90, 2), signed(image, 0x92)
    p4, p5, p6 = signed(image, 0x94, 2), signed(image, 0x96, 2), signed(image, 0x99)
    p7, p8, p9, p10 = (
        signed(image, 0x98),
        signed(image, 0x9C, 2),
        signed(image, 0x9E, 2),
        image[0xA0],
    )
    t = t_fine / 2 - 64000
    offset = (t * t * Fraction(p6, 2**17) + t * p5 * 2) / 4 + p4 * 2**16
    slope = (1 + (p3 * t * t / 2**14 + p2 * t) / 2**19 / 2**15) * p1
    p = (2**20 - adc - offset / 2**12) * 6250 / slope
    p += (
        p9 * p * p / 2**31
        + p * Fraction(p8, 2**15)
        + (p / 256) ** 3 * Fraction(p10, 2**17)
        + p7 * 128
    ) / 16
    return p / 100


def _humidity(image: bytes, t_fine: Fraction) -> Fraction:
    adc = int.from_bytes(image[0x25:0x27], "big")
    h1 = image[0xE3] * 16 + image[0xE2] % 16
    h2 = image[0xE1] * 16 + image[0xE2] // 16
    h3, h4, h5 = signed(image, 0xE4), signed(image, 0xE5), signed(image, 0xE6)
    h6, h7 = image[0xE7], signed(image, 0xE8)
    t = t_fine / 5120
    scaled = (adc - h1 * 16 - Fraction(h3, 2) * t) * Fraction(h2, 2**18)
    scaled *= 1 + Fraction(h4, 2**14) * t + Fraction(h5, 2**20) * t * t
    return scaled + (Fraction(h6, 2**14) + Fraction(h7, 2**21) * t) * scaled * scaled


def _gas(image: bytes) -> Fraction:
    adc, gas_range = image[0x2A] * 4 + image[0x2B] // 64, image[0x2B] % 16
    error = image[0x04] // 16
    factor = (1340 + 5 * (error - 16 if error > 7 else error)) * CONST_ARRAY_1[gas_range]
    return factor * CONST_ARRAY_2[gas_range] / (adc - 512 + factor)


def expected_heater(image: bytes, target_c: int, ambient_c: int) -> int:
    """res_heat_x, as the datasheet's table 11 has its parts."""
    g1, g2, g3 = signed(image, 0xED), signed(image, 0xEB, 2), signed(image, 0xEE)
    heat_range, heat_val = image[0x02] >> 4 & 3, signed(image, 0x00)
    hot = (Fraction(g1, 16) + 49) * (
        1 + (Fraction(g2, 32768) * Fraction("0.0005") + Fraction("0.00235")) * target_c
    )
    hot += Fraction(g3, 1024) * ambient_c
    code = Fraction("3.4") * (
        hot * Fraction(4, 4 + heat_range) / (1 + heat_val * Fraction("0.002")) - 25
    )
    return int(code)


def likely_image(seed: int) -> bytes:
    """A register image of a chip that might have been made, in some air, from frost to an oven."""
    rng = random.Random(seed)
    image = bytearray(rng.randbytes(256))
    image[0xD0], image[0xF0], image[0x1D], image[0x92] = 0x61, 0x00, 0x80, 88

    def word(address: int, low: int, high: int) -> None:
        image[address : address + 2] = (rng.randint(low, high) & 0xFFFF).to_bytes(2, "little")

    for address, low, high in (
        (0xE9, 25000, 27000),
        (0x8A, 26000, 26900),
        (0x8E, 34000, 38000),
        (0x90, -10800, -9900),
        (0x94, 4000, 9000),
        (0x96, -300, 100),
        (0x9C, -5000, 1000),
        (0x9E, -4000, -1500),
        (0xEB, -15000, 0),
    ):
        word(address, low, high)
    for address, low, high in (
        (0x8C, 0, 5),
        (0x98, 0, 60),
        (0x99, 25, 35),
        (0xA0, 25, 35),
        (0xE4, -2, 2),
        (0xE5, 30, 60),
        (0xE6, 10, 30),
        (0xE7, 100, 140),
        (0xE8, -110, -80),
        (0xED, -60, 0),
        (0xEE, 10, 25),
        (0x00, 20, 60),
    ):
        image[address] = rng.randint(low, high) & 0xFF
    h1, h2 = rng.randint(600, 900), rng.randint(950, 1080)
    image[0xE1:0xE4] = bytes((h2 >> 4, (h2 & 15) << 4 | h1 & 15, h1 >> 4))
    image[0x02] = image[0x02] & 0xCF | rng.randint(1, 2) << 4
    image[0x1F:0x22] = (rng.randint(200_000, 560_000) << 4).to_bytes(3, "big")
    image[0x22:0x25] = (rng.randint(330_000, 620_000) << 4).to_bytes(3, "big")
    image[0x25:0x27] = rng.randint(9_000, 34_000).to_bytes(2, "big")
    return bytes(image)
