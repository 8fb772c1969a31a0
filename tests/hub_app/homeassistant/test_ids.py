"""Ids of devices and entities: no two things share one, and Home Assistant takes each."""

import re

from hypothesis import given
from hypothesis import strategies as st

from bus.contract.topics import is_name
from hub_app.homeassistant import ids

ALLOWED = re.compile(r"harvester_[a-zA-Z0-9_-]{1,118}\Z")
names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True).filter(is_name)
fields = st.text(min_size=1, max_size=64)
# What an id is made of, and the id.
things = st.one_of(
    st.builds(lambda n, s, f: (("field", n, s, f), ids.field_id(n, s, f)), names, names, fields),
    st.builds(lambda n, s: (("device", n, s), ids.device_id(n, s)), names, names),
    st.builds(lambda n: (("device", n), ids.device_id(n)), names),
    st.builds(
        lambda n, k, p, f: ((k, n, p, f), ids.thing_id(n, k, p, key=f)),
        *(names, st.sampled_from(("setting", "plugin")), names, fields),
    ),
    st.builds(
        lambda n, p, s, f: (
            ("sensor-setting", n, p, s, f),
            ids.thing_id(n, "sensor-setting", p, s, key=f),
        ),
        *(names, names, names, fields),
    ),
    st.builds(
        lambda n, k, s: ((k, n, s), ids.thing_id(n, k, s)),
        *(names, st.sampled_from(("fault", "event", "alarm", "led")), names),
    ),
)


@given(things, things)
def test_different_things_have_different_ids(
    first: tuple[object, str], second: tuple[object, str]
) -> None:
    assert (first[0] == second[0]) == (first[1] == second[1])


@given(things)
def test_every_id_has_letters_that_home_assistant_takes(thing: tuple[object, str]) -> None:
    assert ALLOWED.match(thing[1])


def test_a_dash_in_a_node_is_not_one_between_node_and_sensor() -> None:
    assert ids.field_id("a-b", "c", "t") != ids.field_id("a", "b-c", "t")
    assert ids.field_id("a", "b", "c_d") != ids.field_id("a", "b-c", "d")
    assert ids.thing_id("a", "plugin", "b") != ids.field_id("a", "plugin", "b")
