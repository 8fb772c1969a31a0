"""Deliveries of a node without a broker: its queue of work, and what it reads back."""

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bus.config.settings import Config
from bus.contract.messages import encode
from bus.contract.topics import Topic, TopicKind
from node_agent.delivery import progress
from node_agent.delivery.deliveries import MAX_WAITING, Deliveries
from node_agent.delivery.kept_bundles import KeptBundles
from node_agent.delivery.plugin_delivery import PluginDelivery
from node_agent.delivery.progress import OWN_FILE, Progress, Version
from node_agent.sandbox import choice
from tests.signed_bundles import KEY, make_order, room, signed
from tests.support import WAIT_S, wait_until

TOPIC = Topic("pi4", TopicKind.BUNDLE, "room")


def deliveries(folder: Path) -> Deliveries:
    config = msgspec.convert(
        {
            "cluster": {"node_id": "pi4", "role": "spoke"},
            "plugins": {"directory": str(folder), "enabled": ["room"]},
        },
        Config,
    )
    return Deliveries(config, folder, KEY, lambda *_: True)


def wanted(delivery: PluginDelivery) -> int:
    return delivery.state.release if delivery.state else 0


def ends(function: Callable[[], object]) -> bool:
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    thread.join(WAIT_S)
    return not thread.is_alive()


def test_the_cycle_does_not_wait_for_bundles_that_wait(tmp_path: Path) -> None:
    found = deliveries(tmp_path)
    for _ in range(MAX_WAITING + 1):
        found.submit(TOPIC, b"{}")
    found.of_plugin["room"].accept(Version(1, "a" * 64, "1.0", 5))
    assert ends(found.of_plugin["room"].begin_cycle)


def test_of_very_many_orders_at_once_the_newest_is_taken(tmp_path: Path) -> None:
    found = deliveries(tmp_path)
    last = 3 * MAX_WAITING
    for release in range(1, last + 1):
        found.submit(TOPIC, encode(signed(room(f"{release}.0"), release)))
    with found:
        delivery = found.of_plugin["room"]
        wait_until(lambda: delivery.begin_cycle() or wanted(delivery) == last)


@pytest.mark.parametrize(
    "changed", [{"is_shadow": False}, {"release": 9}, {"probation": 1}, {"version": "2.0"}]
)
def test_a_version_on_the_disk_is_the_signed_one(
    tmp_path: Path, changed: dict[str, object]
) -> None:
    content = room("1.0")
    message = signed(content, 1, shadow=True, probation=5)
    found = deliveries(tmp_path)
    with found:
        found.submit(TOPIC, encode(message))
    found.of_plugin["room"].begin_cycle()
    path = found.of_plugin["room"].shadowed()
    assert path is not None
    kept = KeptBundles(path.parent, TOPIC)
    version = progress.version_of(make_order(content, 1, shadow=True, probation=5), message)
    altered = msgspec.structs.replace(version, **changed)
    kept.save(Progress(wanted=version, current=altered, good=altered, phase=progress.SHADOW))
    started = kept.load(KEY, 2)
    assert (started.wanted, started.current, started.good) == (version, OWN_FILE, OWN_FILE)


def test_a_bundle_that_cannot_be_saved_is_told_and_the_same_order_is_taken_later(
    tmp_path: Path,
) -> None:
    message, in_the_way = encode(signed(room("1.0"), 1)), tmp_path / "bundles"
    with deliveries(tmp_path) as found:
        delivery = found.of_plugin["room"]
        in_the_way.touch()
        found.submit(TOPIC, message)
        wait_until(lambda: delivery.state)
        assert delivery.state is not None
        assert delivery.state.refused == (
            f"{in_the_way}: File exists: the bundle could not be saved; mend that at the node, "
            "then deploy it again"
        )
        in_the_way.unlink()
        found.submit(TOPIC, message)
        wait_until(lambda: delivery.begin_cycle() or delivery.offered())
        assert (delivery.state.phase, delivery.state.refused) == ("trial", "")


def test_a_node_that_cannot_compile_takes_bundles_and_no_new_components(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "compiler_obstacle", lambda: "send the plugin as a bundle")
    found = deliveries(tmp_path)
    assert found.refusal_of_new("bundle") == ""
    assert found.refusal_of_new("component") == "send the plugin as a bundle"
    assert found.refusal("component") == ""


def test_what_a_killed_node_was_writing_is_removed_with_the_next_order(tmp_path: Path) -> None:
    content = room("1.0")
    first, second = (signed(content, release, probation=5) for release in (1, 2))
    with deliveries(tmp_path) as found:
        found.submit(TOPIC, encode(first))
    path = next(tmp_path.rglob("room-*.bundle"))
    half = path.with_name(f".{path.name}.1.partial")
    half.write_bytes(content[:9])
    with deliveries(tmp_path) as found:
        found.submit(TOPIC, encode(second))
        wait_until(lambda: found.of_plugin["room"].begin_cycle() or found.of_plugin["room"].state)
    assert path.exists()
    assert not half.exists()


def test_files_of_plugins_that_are_no_more_enabled_are_removed_at_the_start(tmp_path: Path) -> None:
    with deliveries(tmp_path) as found:
        found.submit(TOPIC, encode(signed(room("1.0"), 1)))
        wait_until(lambda: found.of_plugin["room"].begin_cycle() or found.of_plugin["room"].state)
    (kept,) = tmp_path.rglob("room-*.bundle")
    digest = "0123456789abcdef"
    former = [
        kept.with_name(name)
        for name in (
            f"light-{digest}.bundle",
            f"light-{digest}.wasm",
            f"light-{digest}.wasm.fetched",
            f".light-{digest}.bundle.1.partial",
            "light.json",
            "light.damaged",
            # Of an enabled plugin, and of no use any more.
            f"room-{digest}.bundle",
            f"room-{digest}.wasm.fetched",
            ".room.json.1.partial",
            # Its name begins with that of an enabled one.
            f"room-two-{digest}.bundle",
        )
    ]
    for path in former:
        path.touch()
    deliveries(tmp_path)
    assert sorted(path.name for path in kept.parent.iterdir()) == sorted([kept.name, "room.json"])
