"""Bundles that come over a real broker to a whole agent: verified, tried, kept, taken back."""

import threading
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.client import credentials
from bus.client.credentials import Credentials
from bus.config.settings import Config
from bus.contract.description import About
from bus.contract.messages import DeliveryState, Reading, ShadowReport, SignedBundle, encode
from bus.contract.plugin_file import order
from bus.contract.topics import Topic, TopicKind
from node_agent.agent import Agent
from node_agent.hal.simulated.board import open_simulated
from node_agent.sandbox.runtime import Runtime
from tests.signed_bundles import KEY, room, signed
from tests.support import HOST, WAIT_S, Listener, Said, embedded_broker, free_port, mosquitto

TOPIC = Topic("pi4", TopicKind.BUNDLE, "room")
SHADOW = Topic("pi4", TopicKind.SHADOW, "room")
BAD_TENTH = "if polls == 10: raise ValueError('the tenth')"


class Node:
    """A node `pi4` with the plugin `room` in version 1.0 as its own file, on a broker."""

    def __init__(self, folder: Path, runtime: Runtime) -> None:
        self._folder, self._runtime = folder, runtime
        self.port = free_port()
        self.keys: dict[str, object] = {}
        own = folder / "plugins" / "room" / "room.bundle"
        own.parent.mkdir(parents=True)
        own.write_bytes(room("1.0"))
        made = Credentials(username="pi4", token="t" * 32, bundle_key=KEY.hex())
        credentials.save(folder / "credentials.toml", made)

    @contextmanager
    def running(self) -> Iterator[Listener]:
        state = self._folder / "state"
        config = msgspec.convert(
            {
                "cluster": {"node_id": "pi4", "role": "spoke"},
                "broker": {
                    "url": f"mqtt://{HOST}:{self.port}",
                    "credentials_file": str(self._folder / "credentials.toml"),
                },
                "polling": {"interval_seconds": 0.1},
                "storage": {"state_dir": str(state), "runtime_dir": str(state / "run")},
                "hardware": {"driver": "simulated"},
                "plugins": {
                    "directory": str(self._folder / "plugins"),
                    "enabled": ["room"],
                    **self.keys,
                },
            },
            Config,
        )
        with Listener(self.port) as ears, closing(open_simulated(config)) as board:
            agent = Agent(config, board, self._runtime, state)
            thread = threading.Thread(target=agent.run)
            thread.start()
            try:
                yield ears
            finally:
                agent.stop()
                thread.join(WAIT_S)
                assert not thread.is_alive()


@pytest.fixture
def node(runtime: Runtime, bundles: dict[str, Path], tmp_path: Path) -> Iterator[Node]:
    assert bundles  # the runtime component is there
    made = Node(tmp_path, runtime)
    with embedded_broker(made.port):
        yield made


def runs(ears: Listener, version: float, *, after: int = 0) -> None:
    """Wait for a reading of a version."""

    def is_it(said: Said) -> bool:
        return isinstance(said.message, Reading) and said.message.data == {"version": version}

    ears.wait_for(is_it, after=after)


def state_with(ears: Listener, *, after: int = 0, **wanted: object) -> DeliveryState:
    """Wait for a state of the delivery that has these fields."""

    def is_it(said: Said) -> bool:
        found = said.message
        return isinstance(found, DeliveryState) and all(
            getattr(found, name) == value for name, value in wanted.items()
        )

    found = ears.wait_for(is_it, after=after).message
    assert isinstance(found, DeliveryState)
    return found


def deliver(ears: Listener, message: SignedBundle) -> int:
    """Publish a message; return how much was heard before."""
    heard = len(ears.said)
    ears.publish(TOPIC, encode(message))
    return heard


def test_a_delivered_version_is_tried_kept_and_runs_after_a_restart(node: Node) -> None:
    with node.running() as ears:
        runs(ears, 1.0)
        deliver(ears, signed(room("2.0"), 2))
        state_with(ears, release=2, phase="probation", running=2)
        found = state_with(ears, release=2, phase="kept")
        assert (found.polls, found.running, found.running_version) == (5, 2, "2.0")
        runs(ears, 2.0)
    with node.running() as ears:
        found = state_with(ears, release=2, phase="kept")
        after = len(ears.said)
        runs(ears, 2.0, after=after)


def test_a_version_that_fails_on_probation_goes_back_by_itself_and_tells_why(node: Node) -> None:
    with node.running() as ears:
        runs(ears, 1.0)
        deliver(ears, signed(room("2.0", BAD_TENTH), 2, probation=30))
        found = state_with(ears, release=2, phase="rolled-back")
        assert "ValueError: the tenth" in found.reason
        assert "/0/app.py" in found.reason
        assert (found.polls, found.running, found.running_version) == (9, 0, "")
        runs(ears, 1.0, after=len(ears.said))
    with node.running() as ears:
        # The same message comes again, as it is retained, and is not tried again.
        found = state_with(ears, release=2, phase="rolled-back")
        runs(ears, 1.0)


def test_the_hub_goes_back_by_a_newer_order(node: Node) -> None:
    with node.running() as ears:
        runs(ears, 1.0)
        deliver(ears, signed(room("2.0"), 2))
        state_with(ears, release=2, phase="kept")
        deliver(ears, signed(b"", 3))
        found = state_with(ears, release=3, phase="kept")
        assert (found.running, found.running_version) == (0, "")
        runs(ears, 1.0, after=len(ears.said))


def test_what_the_node_does_not_grant_is_refused_at_the_trial(node: Node) -> None:
    with node.running() as ears:
        runs(ears, 1.0)
        deliver(ears, signed(room("2.0", imports=("gpio-provider", "i2c")), 2))
        found = state_with(ears, release=2, phase="failed")
        assert "plugins.grants.room" in found.reason
        runs(ears, 1.0, after=len(ears.said))


def test_a_mistake_in_the_source_is_told_with_its_place(node: Node) -> None:
    with node.running() as ears:
        runs(ears, 1.0)
        deliver(ears, signed(room("2.0", "return ["), 2))
        found = state_with(ears, release=2, phase="failed")
        assert '/0/app.py", line 13' in found.reason
        runs(ears, 1.0, after=len(ears.said))


def hostile() -> dict[str, tuple[SignedBundle, str]]:
    good = signed(room("3.0"), 9)
    other = Ed25519PrivateKey.generate().sign(order.signed_bytes(good.order))
    bomb = b"harvester bundle 1\n" + zlib.compress(b"\0" * (64 << 20), 9)
    replace = msgspec.structs.replace
    return {
        "tampered": (replace(good, bundle=room("4.0")), "which is signed"),
        "truncated": (replace(good, bundle=good.bundle[:-9]), "which is signed"),
        "another order": (
            replace(good, order=good.order.replace('"release":9', '"release":10')),
            "not of this hub's key",
        ),
        "wrongly signed": (replace(good, signature=other), "not of this hub's key"),
        "unsigned": (replace(good, signature=b""), "no signature"),
        "older": (signed(room("0.5"), 1), "expected one after 2"),
        "of another node": (signed(room("3.0"), 9, node="attic"), "for room of attic"),
        "of another plugin": (signed(room("3.0"), 9, plugin="oled"), "for oled of pi4"),
        "of another world": (signed(room("3.0"), 9, world="oled-plugin"), "as signed"),
        "a bomb": (signed(bomb, 9), "unpacks to over"),
        "no bundle": (signed(b"hello", 9), "no bundle"),
    }


def test_hostile_bundles_are_refused_with_a_sentence_and_the_old_one_runs(node: Node) -> None:
    with node.running() as ears:
        runs(ears, 1.0)
        deliver(ears, signed(room("2.0"), 2))
        state_with(ears, release=2, phase="kept")
        for message, sentence in hostile().values():
            after = deliver(ears, message)
            found = ears.wait_for(
                lambda said, s=sentence: (
                    isinstance(said.message, DeliveryState) and s in said.message.refused
                ),
                after=after,
            ).message
            assert isinstance(found, DeliveryState)
            assert (found.release, found.phase, found.running) == (2, "kept", 2)
        runs(ears, 2.0, after=len(ears.said))


def test_a_message_of_10_mb_is_refused_with_a_sentence(
    runtime: Runtime, bundles: dict[str, Path], tmp_path: Path
) -> None:
    assert bundles
    node = Node(tmp_path, runtime)
    # The hub's broker would not take it: a packet there has 256 KB.
    with mosquitto(node.port, tmp_path), node.running() as ears:
        runs(ears, 1.0)
        ears.publish(TOPIC, b'{"bundle": "' + b"A" * 10_000_000 + b'"}')
        found = state_with(ears, release=0)
        assert "found 10000014 bytes, expected at most 204800" in found.refused
        runs(ears, 1.0, after=len(ears.said))


def test_garbage_and_an_empty_message_change_nothing(node: Node) -> None:
    with node.running() as ears:
        runs(ears, 1.0)
        ears.publish(TOPIC, b"")
        ears.publish(TOPIC, b"garbage")
        found = state_with(ears, release=0)
        assert "expected JSON" in found.refused
        runs(ears, 1.0, after=len(ears.said))


@pytest.mark.parametrize(
    ("key", "form", "sentence"),
    [(KEY.hex(), "component", "allows no bundles"), ("", "auto", "no bundle_key")],
)
def test_a_node_that_takes_no_bundles_says_so(
    node: Node, tmp_path: Path, key: str, form: str, sentence: str
) -> None:
    made = Credentials(username="pi4", token="t" * 32, bundle_key=key)
    credentials.save(tmp_path / "credentials.toml", made)
    node.keys = {"form": form}
    with node.running() as ears:
        about = ears.wait_topic("harvester/pi4/about").message
        assert isinstance(about, About)
        assert sentence in about.no_bundles
        assert about.bundle_key == ""
        runs(ears, 1.0)
        deliver(ears, signed(room("2.0"), 2))
        found = state_with(ears, release=0)
        assert sentence in found.refused
        runs(ears, 1.0, after=len(ears.said))


def test_a_disabled_plugin_tries_a_version_once_it_is_enabled(node: Node) -> None:
    command = Topic("pi4", TopicKind.COMMAND, "plugins")
    with node.running() as ears:
        runs(ears, 1.0)
        ears.publish(command, b'{"plugin": "room", "action": "disable"}')
        ears.wait_topic("harvester/pi4/plugins/result")
        deliver(ears, signed(room("2.0"), 2))
        assert "disabled by a command" in state_with(ears, release=2, phase="trial").reason
        ears.publish(command, b'{"plugin": "room", "action": "enable"}')
        state_with(ears, release=2, phase="kept")


def test_a_node_without_a_file_of_its_own_runs_what_is_delivered(
    node: Node, tmp_path: Path
) -> None:
    (tmp_path / "plugins" / "room" / "room.bundle").unlink()
    with node.running() as ears:
        ears.wait_topic("harvester/pi4/heartbeat")
        deliver(ears, signed(room("2.0"), 2))
        state_with(ears, release=2, phase="kept")
        runs(ears, 2.0)


def test_a_version_without_a_good_poll_where_the_old_one_has_some_never_runs(node: Node) -> None:
    with node.running() as ears:
        runs(ears, 1.0)
        deliver(ears, signed(room("2.0", "return []"), 2))
        found = state_with(ears, release=2, phase="failed")
        assert found.reason == (
            "none of its 5 polls was good, while the running version's were: returned no reading"
        )
        assert found.running == 0
        runs(ears, 1.0, after=len(ears.said))
        assert not any(
            said.message.data == {"version": 2.0}
            for said in ears.said
            if isinstance(said.message, Reading)
        )


def test_a_sensor_that_needs_some_polls_to_warm_up_passes_its_trial(node: Node) -> None:
    with node.running() as ears:
        runs(ears, 1.0)
        deliver(ears, signed(room("2.0", "if polls < 4: return []"), 2))
        state_with(ears, release=2, phase="kept")
        runs(ears, 2.0)


def test_a_trial_tells_that_the_sensor_was_absent_before(node: Node, tmp_path: Path) -> None:
    own = tmp_path / "plugins" / "room" / "room.bundle"
    absent = "from componentize_py_types import Err; raise Err('no answer')"
    own.write_bytes(room("1.0", absent))
    with node.running() as ears:
        deliver(ears, signed(room("2.0", absent), 2))
        found = state_with(ears, release=2, phase="failed")
        assert "polls was good, nor the running version's: no answer" in found.reason


def test_a_version_with_nothing_new_to_tell_is_kept_where_the_old_one_has_neither(
    node: Node, tmp_path: Path
) -> None:
    own = tmp_path / "plugins" / "room" / "room.bundle"
    own.write_bytes(room("1.0", "return []"))
    with node.running() as ears:
        deliver(ears, signed(room("2.0", "return []"), 2))
        state_with(ears, release=2, phase="kept")


def test_a_bundle_that_was_changed_on_the_disk_does_not_run(node: Node, tmp_path: Path) -> None:
    with node.running() as ears:
        runs(ears, 1.0)
        deliver(ears, signed(room("2.0"), 2))
        state_with(ears, release=2, phase="kept")
    (kept,) = (tmp_path / "state" / "bundles").glob("*.bundle")
    kept.write_bytes(room("6.6"))
    with node.running() as ears:
        runs(ears, 1.0)
        assert "which is signed" in state_with(ears, release=2, running=0).reason


def report_with(ears: Listener, polls: int, *, after: int = 0) -> ShadowReport:
    """Wait for the report of a shadow run with so many polls."""

    def is_it(said: Said) -> bool:
        return isinstance(said.message, ShadowReport) and said.message.polls >= polls

    found = ears.wait_for(is_it, after=after).message
    assert isinstance(found, ShadowReport)
    return found


def test_a_shadow_polls_beside_the_running_version_until_it_is_promoted(node: Node) -> None:
    with node.running() as ears:
        runs(ears, 1.0)
        deliver(ears, signed(room("2.0"), 2, shadow=True))
        told = state_with(ears, release=2, phase="shadow")
        assert (told.running, told.version) == (0, "2.0")
        found = report_with(ears, 3)
        assert found.values == {"room version": (1.0, 2.0)}
        assert (found.differing, found.failures, found.error) == (found.polls, 0, "")
        assert found.version == "2.0"
        assert found.p50_ms > 0
        runs(ears, 1.0, after=len(ears.said))
        heard = deliver(ears, signed(room("2.0"), 3))
        state_with(ears, release=3, phase="kept")
        runs(ears, 2.0, after=heard)
        ears.wait_for(lambda said: said.topic == SHADOW and not said.payload, after=heard)


def test_what_the_node_does_not_grant_is_refused_in_the_shadow_too(node: Node) -> None:
    with node.running() as ears:
        runs(ears, 1.0)
        deliver(ears, signed(room("2.0", imports=("gpio-provider", "i2c")), 2, shadow=True))
        found = ears.wait_for(
            lambda said: isinstance(said.message, ShadowReport) and bool(said.message.error)
        ).message
        assert isinstance(found, ShadowReport)
        assert "[plugins.grants.room]" in found.error
        assert found.polls == 0


def test_a_shadow_that_fails_is_told_and_dropped_by_a_rollback(node: Node) -> None:
    with node.running() as ears:
        runs(ears, 1.0)
        deliver(ears, signed(room("2.0", "if polls == 2: raise ValueError('bad')"), 2, shadow=True))
        found = report_with(ears, 2)
        assert "ValueError: bad" in found.error
        assert found.failures == 1
        heard = deliver(ears, signed(b"", 3))
        state_with(ears, release=3, phase="kept")
        ears.wait_for(lambda said: said.topic == SHADOW and not said.payload, after=heard)
        runs(ears, 1.0, after=heard)


def test_a_shadow_goes_on_after_a_restart_of_the_node(node: Node) -> None:
    with node.running() as ears:
        runs(ears, 1.0)
        deliver(ears, signed(room("2.0"), 2, shadow=True))
        state_with(ears, release=2, phase="shadow")
    with node.running() as ears:
        assert report_with(ears, 1).values == {"room version": (1.0, 2.0)}
