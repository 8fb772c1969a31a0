import pytest

from bus.config.grant_table import Grant, may_read


@pytest.mark.parametrize(
    ("granted", "covered"),
    [
        ([], []),
        (["pi4:room"], ["pi4:room"]),
        (["pi4:*"], ["pi4:room", "pi4:air"]),
        (["*"], ["pi4:room", "pi4:air", "attic:room"]),
    ],
)
def test_a_grant_covers_a_sensor_a_node_or_all(granted: list[str], covered: list[str]) -> None:
    grant = Grant(readings=granted)
    asked = ["pi4:room", "pi4:air", "attic:room"]
    assert [sensor for sensor in asked if may_read(grant, *sensor.split(":"))] == covered
