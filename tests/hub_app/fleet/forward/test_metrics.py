"""Metrics of the forwarding to a fleet."""

from hub_app.fleet.forward.metrics import families
from hub_app.fleet.forward.status import FleetStatus
from hub_app.http.formats.metric_names import RESERVED_WORDS


def test_the_metrics_begin_with_a_word_that_no_field_may_begin_with() -> None:
    status = FleetStatus("db.example.org/fleet", "berlin", True, 0, "", 1, 2, 3)
    names = [family.name for family in families(status)]
    assert len(names) == 4
    assert {name.split("_")[1] for name in names} <= RESERVED_WORDS
