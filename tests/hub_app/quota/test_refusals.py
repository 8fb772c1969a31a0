"""Refusals are counted per node and reason, and logged once a minute."""

import logging

import pytest

from hub_app.quota.refusals import OTHER_NODES, Reason, Refusals


def test_refusals_are_counted_and_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now_s = 0.0
    refusals = Refusals(lambda: now_s)
    with caplog.at_level(logging.WARNING):
        for second in range(121):
            now_s = float(second)
            refusals.count("pi4", Reason.SENSORS, "harvester/pi4/readings/x")
        refusals.count("pi5", Reason.SENSORS, "")
    assert refusals.of("pi4") == {"sensors": 121}
    assert refusals.total == 122
    assert len([text for text in caplog.messages if "of pi4" in text]) == 3


def test_changed_nodes_are_told_once() -> None:
    refusals = Refusals()
    refusals.count("pi4", Reason.MALFORMED, "")
    assert refusals.take_changed() == {"pi4"}
    assert refusals.take_changed() == set()
    refusals.forget("pi4")
    assert refusals.of("pi4") == {}


def test_endless_nodes_are_counted_together() -> None:
    refusals = Refusals(most_nodes=2)
    for node in "abcd":
        refusals.count(node, Reason.NODES, "")
    assert refusals.every() == {"a": {"nodes": 1}, "b": {"nodes": 1}, OTHER_NODES: {"nodes": 2}}
