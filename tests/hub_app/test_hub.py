"""The hub's core: what goes to the page, removal, and the clock."""

import asyncio
import itertools
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from bus.contract.messages import encode
from bus.contract.topics import Topic, TopicKind
from hub_app.alarms import monitor
from hub_app.hub import Hub
from hub_app.live.change import Change
from tests.hub_app.samples import reading, status
from tests.hub_app.test_any_message import Core


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Core(tmp_path).hub


def page_text(hub: Hub) -> str:
    snapshot = hub.state.snapshot(hub.now_ms(), 50)
    return msgspec.json.encode(hub._page(snapshot, None, "")).decode()


def test_a_page_with_too_many_elements_is_partial_and_has_something_of_each_node(hub: Hub) -> None:
    fields = {f"field-number-{n:03}": n for n in range(64)}
    for n in range(480):
        hub.on_message(*reading(node=f"pi{n % 4}", sensor=f"s{n}", **fields))
    hub.on_message(Topic("pi5", TopicKind.STATUS), status())
    page = msgspec.json.decode(page_text(hub))
    assert page["is_partial"]
    assert len(page_text(hub)) < 750_000
    assert {entry["node"] for entry in page["entries"]} == {"pi0", "pi1", "pi2", "pi3", "pi5"}


def test_a_page_of_a_usual_system_is_whole(hub: Hub) -> None:
    hub.on_message(*reading())
    assert not msgspec.json.decode(page_text(hub))["is_partial"]


def test_an_emptied_retained_topic_is_removed_and_browsers_are_told(hub: Hub) -> None:
    topic, message = reading()
    hub.decoder.handle(str(topic), encode(message))
    (browser,) = hub.fanout._clients
    asyncio.run(browser.take())
    hub.decoder.handle(str(topic), b"")
    assert hub.state.of_kind(TopicKind.READING) == []
    event = asyncio.run(browser.take())
    assert event.count(b"event: ") == 1
    assert b'"value":null' in event
    assert hub.decoder.undecodable == {}


def test_a_task_that_is_down_is_a_fault(hub: Hub) -> None:
    hub.supervisor.run_here("history", _FailsOnce(), lambda _s: _check_fault(hub))
    assert not [fault for fault in hub.faults if "history" in fault]


class _FailsOnce:
    def __init__(self) -> None:
        self._has_failed = False

    def __call__(self) -> None:
        if not self._has_failed:
            self._has_failed = True
            raise ValueError("bad")


def _check_fault(hub: Hub) -> None:
    assert "history failed and is started again: ValueError('bad')" in hub.faults


def test_a_sweep_of_many_nodes_has_short_steps(hub: Hub) -> None:
    names = [f"n{n}" for n in range(1000)]
    for node in names:
        hub.on_message(Topic(node, TopicKind.STATUS), status(state="offline"))
    judged = [hub.alarms.judged for _ in hub.sweep_steps()]
    steps = [after - before for before, after in itertools.pairwise((0, *judged))]
    assert 0 < max(steps) <= monitor.NODES_AT_ONCE
    # Nothing else has to wait for the whole of it.
    assert len(steps) > 3


def test_a_listener_that_fails_keeps_no_change_from_the_others_and_the_alarms(hub: Hub) -> None:
    def fail(changes: Sequence[Change], now_ms: int) -> None:
        raise RuntimeError(changes, now_ms)

    told: list[Change] = []
    hub.listeners[:] = [fail, lambda changes, _now_ms: told.extend(changes)]
    for node in ("pi1", "pi2"):
        hub.on_message(Topic(node, TopicKind.STATUS), status(state="offline"))
    hub.sweep()
    assert {change.node for change in told} == {"pi1", "pi2"}
    assert hub.alarms.judged == 2
