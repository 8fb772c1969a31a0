"""NMEA parser: whole sentences with the right checksum, and no position without a fix."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.gps import simulated
from examples.gps.nmea import Fix, Receiver

# The known example of both sentences, with its published checksums.
GGA = b"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n"
RMC = b"$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A\r\n"
FIX = Fix(
    latitude=48 + 7.038 / 60,
    longitude=11 + 31 / 60,
    altitude=545.4,
    speed=22.4 * (1852 / 3600),
    satellites=8,
)


def sentence(body: str) -> bytes:
    checksum = 0
    for byte in body.encode():
        checksum ^= byte
    return f"${body}*{checksum:02X}\r\n".encode()


@pytest.mark.parametrize("heard", [GGA + RMC, RMC + GGA])
def test_two_sentences_of_one_second_make_a_fix(heard: bytes) -> None:
    assert Receiver().feed(heard) == FIX


@given(st.lists(st.integers(0, len(GGA + RMC)), max_size=6))
def test_sentences_may_be_cut_anywhere_between_two_polls(cuts: list[int]) -> None:
    receiver, places = Receiver(), [0, *sorted(cuts), len(GGA + RMC)]
    parts = [(GGA + RMC)[a:b] for a, b in pairwise(places)]
    assert [fix for fix in map(receiver.feed, parts) if fix] == [FIX]


@pytest.mark.parametrize("position", range(1, len(GGA) - 5))
def test_a_sentence_with_a_wrong_character_does_not_exist(position: int) -> None:
    garbled = bytearray(GGA)
    garbled[position] ^= 0x01
    assert Receiver().feed(bytes(garbled) + RMC) is None


@pytest.mark.parametrize(
    ("quality", "status", "satellites"), [("0", "V", "03"), ("6", "A", "03"), ("1", "V", "03")]
)
def test_without_a_fix_there_is_no_position(quality: str, status: str, satellites: str) -> None:
    position = "4807.038,N,01131.000,E"
    heard = sentence(f"GNGGA,123519,{position},{quality},{satellites},9.9,545.4,M,46.9,M,,")
    heard += sentence(f"GNRMC,123519,{status},{position},022.4,084.4,230394,,")
    assert Receiver().feed(heard) == Fix(satellites=3)


def test_a_receiver_that_has_just_been_switched_on_knows_nothing_but_that() -> None:
    cold = sentence("GPRMC,,V,,,,,,,,,,N") + sentence("GPGGA,,,,,,0,00,99.99,,,,,,")
    fix = Receiver().feed(cold)
    assert fix is not None
    assert fix.values() == [("satellites", 0.0)]


def test_sentences_of_two_seconds_are_not_mixed() -> None:
    receiver = Receiver()
    assert receiver.feed(GGA) is None
    later = sentence("GPRMC,123520,A,4807.100,N,01131.000,E,022.4,084.4,230394,003.1,W")
    assert receiver.feed(later) is None


def test_south_and_west_are_negative() -> None:
    heard = sentence("GPGGA,1,3351.650,S,15112.480,W,1,05,1.0,-3.2,M,,M,,")
    heard += sentence("GPRMC,1,A,3351.650,S,15112.480,W,,,230394,,")
    fix = Receiver().feed(heard)
    assert fix is not None
    assert dict(fix.values()) == {
        "latitude": pytest.approx(-33.860833),
        "longitude": pytest.approx(-151.208),
        "altitude": -3.2,
        "satellites": 5,
    }


@pytest.mark.parametrize(
    "position", [",,,", "9100.0,N,18100.0,E", "4860.0,N,01160.0,E", "4807.0,X,01131.0,", "x,N,y,E"]
)
def test_a_position_that_is_none_is_absent(position: str) -> None:
    heard = sentence(f"GPGGA,1,{position},1,05,1.0,,M,,M,,")
    fix = Receiver().feed(heard + sentence(f"GPRMC,1,A,{position},,,230394,,"))
    assert fix == Fix(satellites=5)


@given(st.binary(max_size=2000))
def test_noise_is_no_fix_and_is_not_kept_for_ever(noise: bytes) -> None:
    receiver = Receiver()
    assert receiver.feed(noise) is None
    assert len(receiver._partial) <= 256
    assert receiver.feed(b"\r\n" + GGA + RMC) == FIX


def test_the_newest_of_several_seconds_is_told() -> None:
    newer = sentence("GPGGA,123520,4808.000,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,")
    newer += sentence("GPRMC,123520,A,4808.000,N,01131.000,E,022.4,084.4,230394,003.1,W")
    fix = Receiver().feed(GGA + RMC + newer)
    assert fix is not None
    assert fix.latitude == pytest.approx(48 + 8 / 60)


@pytest.mark.parametrize(
    ("gga_time", "rmc_time"),
    [("085210", "085210.00"), ("085210.00", "085210"), ("085210.5", "085210.500")],
)
def test_one_time_written_in_two_ways_is_one_time(gga_time: str, rmc_time: str) -> None:
    heard = sentence(f"GPGGA,{gga_time},4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,")
    heard += sentence(f"GPRMC,{rmc_time},A,4807.038,N,01131.000,E,022.4,084.4,230394,,")
    assert Receiver().feed(heard) == FIX


@pytest.mark.parametrize("own", ["PGRMC", "PXGGA", "PRMC", "GPRMCX", "gprmc"])
def test_a_manufacturers_own_sentence_costs_no_fix(own: str) -> None:
    other = sentence(f"{own},A,218.8,100,6378137.000,298.257223563,0,0,0,A,8,1,1,4,30")
    assert Receiver().feed(GGA + other + RMC) == FIX
    assert Receiver().feed(RMC + other + GGA) == FIX


def test_the_simulated_receiver_sends_two_sentences_a_second() -> None:
    receiver = simulated.GpsReceiver()
    assert receiver.read(0.0) == b""
    lines = receiver.read(2.5).decode().splitlines()
    assert [line[:6] for line in lines] == ["$GPGGA", "$GPRMC"] * 2
    assert lines[0].split(",")[1] != lines[2].split(",")[1]
    assert receiver.read(2.9) == b""


def test_the_simulated_receivers_sentences_are_framed_as_the_standard_says() -> None:
    body = GGA.decode()[1:].partition("*")[0]
    assert simulated.sentence(body) == GGA


def test_the_simulated_receiver_moves_on_a_circle_about_its_place() -> None:
    receiver, parser = simulated.GpsReceiver(), Receiver()
    receiver.latitude_deg, receiver.longitude_deg, receiver.altitude_m = -33.86, -151.2, 58.0
    fixes = [parser.feed(receiver.read(float(second))) for second in range(60)]
    found = [(fix.latitude, fix.longitude, fix.altitude) for fix in fixes if fix]
    assert len(set(found)) == 59
    for latitude, longitude, altitude in found:
        assert latitude is not None
        assert longitude is not None
        # NMEA's minutes have four decimals.
        distance = math.hypot(latitude + 33.86, longitude + 151.2)
        assert distance == pytest.approx(0.0005, abs=0.000003)
        assert altitude == 58.0


def test_the_simulated_receiver_has_no_position_with_three_satellites() -> None:
    receiver = simulated.GpsReceiver()
    receiver.satellites = 3.0
    receiver.read(0.0)
    assert Receiver().feed(receiver.read(1.0)) == Fix(satellites=3)


def test_the_simulated_receiver_repeats_no_more_than_a_minute() -> None:
    receiver = simulated.GpsReceiver()
    receiver.read(0.0)
    assert receiver.read(1_000_000.0).count(b"GPGGA") == 60
