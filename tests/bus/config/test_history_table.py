import pytest

from bus.config.history_table import FleetConfig, check_fleet
from bus.errors import MisconfiguredError

URL = "postgresql://harvester@db.example.org/fleet"


@pytest.mark.parametrize(
    ("keys", "role", "expected"),
    [
        ({}, "fleet", 'fleet.url: found "" for the role fleet'),
        ({"site": "berlin"}, "hub", "fleet.site: found a value without fleet.url"),
        ({"page": "https://hub:3000"}, "hub", "fleet.page: found a value without fleet.url"),
        ({"url": URL}, "hub", 'fleet.site: found "", expected the name of this site'),
        ({"url": URL, "site": "berlin"}, "spoke", "only a hub forwards"),
        ({"url": "mysql://db/fleet", "site": "berlin"}, "hub", "fleet.url: found another text"),
        ({"url": "postgresql://u:secret@db/f", "site": "b"}, "hub", "found a password in it"),
        ({"url": f"{URL}?password=secret", "site": "b"}, "hub", "found a password in it"),
        ({"url": URL, "site": "b", "page": "javascript:x"}, "hub", "fleet.page: found 'javasc"),
        ({"url": URL, "site": "b", "page": "hub:3000"}, "hub", "https://HOST:3000"),
    ],
)
def test_what_is_wrong_with_a_fleet_is_told(keys: dict[str, str], role: str, expected: str) -> None:
    with pytest.raises(MisconfiguredError) as told:
        check_fleet(FleetConfig(**keys), role)  # type: ignore[arg-type]
    assert expected in str(told.value)
    assert "secret" not in str(told.value)


def test_a_hub_that_forwards_needs_a_database_and_a_name() -> None:
    check_fleet(FleetConfig(), "hub")
    check_fleet(FleetConfig(url=URL, site="berlin", page="https://hub.example:3000/x"), "hub")
    check_fleet(FleetConfig(url=URL), "fleet")
