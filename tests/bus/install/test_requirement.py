"""Requirements of a distribution, as its metadata lists them."""

import pytest

from bus.install.requirement import Requirement, parse


@pytest.mark.parametrize(
    ("text", "expected", "is_for_all"),
    [
        ("msgspec>=0.20", Requirement("msgspec"), True),
        ("Typing_Extensions", Requirement("typing-extensions"), True),
        ("harvester-edge[agent]; extra=='hub'", Requirement("harvester-edge", "hub"), True),
        ('a.b<2 ; (extra == "pi")', Requirement("a-b", "pi"), True),
        ('a; os_name == "x" and extra == "pi"', Requirement("a", "pi"), False),
        ('a; os_name == "x"', Requirement("a"), False),
    ],
)
def test_a_requirement_has_a_name_and_an_extra(
    text: str, expected: Requirement, is_for_all: bool
) -> None:
    found = parse(text)
    assert found is not None
    assert (found.name, found.extra) == (expected.name, expected.extra)
    assert found.is_for_all is is_for_all


def test_what_begins_with_no_name_is_none() -> None:
    assert parse("; extra == 'hub'") is None
