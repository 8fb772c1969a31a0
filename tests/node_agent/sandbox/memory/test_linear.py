import pytest

from node_agent.sandbox.memory import linear

MB = 1 << 20
MAPS = """\
55d0-55d1 r-xp 00000000 fe:00 1 /usr/bin/python3.11
{guard:x}-{first:x} ---p 00000000 00:00 0
{first:x}-{image:x} rw-p 00000000 00:00 0
{image:x}-{rest:x} rw-p 01420000 fe:00 4229610 /cache/some.cwasm
{rest:x}-{end:x} ---p 00000000 00:00 0
{other:x}-{after:x} rw-p 00000000 00:00 0
{after:x}-{last:x} ---p 00000000 00:00 0
"""


@pytest.fixture
def lines() -> list[str]:
    first, rest = 0x7F0000000000, 0x7F0000F00000
    return MAPS.format(
        guard=first - 32 * MB,
        first=first,
        image=first + MB,
        rest=rest,
        end=rest + 4100 * MB,
        other=rest + 5000 * MB,
        after=rest + 5001 * MB,
        last=rest + 5033 * MB,
    ).splitlines()


def test_a_memory_is_what_is_accessible_before_a_large_reservation(lines: list[str]) -> None:
    assert linear.parse(lines) == {0x7F0000000000: 15 * MB}


def test_a_memory_with_nothing_before_its_reservation_is_left_out(lines: list[str]) -> None:
    assert linear.parse([lines[4]]) == {}
