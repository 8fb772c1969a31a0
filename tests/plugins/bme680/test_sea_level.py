import pytest

from plugins.bme680.sea_level import sea_level_hpa

# ISO 2533:1975, table 5: pressure of the standard atmosphere by geopotential altitude.
STANDARD = {
    -400: 1062.23,
    500: 954.608,
    1000: 898.746,
    2000: 794.952,
    3000: 701.085,
    5000: 540.199,
    8000: 355.998,
}


@pytest.mark.parametrize(("altitude_m", "pressure_hpa"), STANDARD.items())
def test_the_standard_atmosphere_has_1013_hpa_at_sea_level(
    altitude_m: float, pressure_hpa: float
) -> None:
    assert sea_level_hpa(pressure_hpa, altitude_m) == pytest.approx(1013.25, abs=0.01)


@pytest.mark.parametrize(("pressure_hpa", "altitude_m"), [(1013.0, 0.0), (None, 500.0)])
def test_without_an_altitude_or_a_pressure_there_is_none(
    pressure_hpa: float | None, altitude_m: float
) -> None:
    assert sea_level_hpa(pressure_hpa, altitude_m) is None
