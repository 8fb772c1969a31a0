"""A node that is killed in any phase of a delivery ends it after its next start."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from bus.client import credentials
from bus.client.credentials import Credentials
from bus.contract.messages import DeliveryState, Reading, encode
from bus.contract.topics import Topic, TopicKind
from tests.built_components import CACHE
from tests.signed_bundles import KEY, room, signed
from tests.support import (
    HOST,
    PATIENT_S,
    Listener,
    Said,
    Service,
    embedded_broker,
    free_port,
    settings,
)

TOPIC = Topic("pi4", TopicKind.BUNDLE, "room")
CONFIG = f"""
[cluster]
node_id = "pi4"
[plugins]
enabled = ["room"]
load_deadline_s = {PATIENT_S}
poll_deadline_s = {PATIENT_S}
[polling]
interval_seconds = 0.1
"""


def is_in(phase: str, release: int) -> Callable[[Said], bool]:
    return lambda said: (
        isinstance(said.message, DeliveryState)
        and (said.message.phase, said.message.release) == (phase, release)
    )


def reads(version: float) -> Callable[[Said], bool]:
    return lambda said: (
        isinstance(said.message, Reading) and said.message.data == {"version": version}
    )


@pytest.fixture
def arguments(tmp_path: Path, bundles: dict[str, Path]) -> list[str]:
    """Return the command line of a node `pi4` whose own file of `room` has version 1.0."""
    assert bundles  # the runtime component is there
    own = tmp_path / "plugins" / "room" / "room.bundle"
    own.parent.mkdir(parents=True)
    own.write_bytes(room("1.0"))
    made = Credentials(username="pi4", token="t" * 32, bundle_key=KEY.hex())
    credentials.save(tmp_path / "credentials.toml", made)
    (tmp_path / "spoke.toml").write_text(CONFIG)
    return [
        *("--role", "spoke", "--simulate", "--config", str(tmp_path / "spoke.toml")),
        *settings(
            broker__credentials_file=tmp_path / "credentials.toml",
            plugins__directory=tmp_path / "plugins",
            storage__cache_dir=CACHE,
            storage__state_dir=tmp_path / "state",
            storage__runtime_dir=tmp_path / "run",
        ),
    ]


def test_a_delivery_survives_a_kill_in_every_phase(arguments: list[str], tmp_path: Path) -> None:
    port = free_port()
    url = settings(broker__url=f"mqtt://{HOST}:{port}")
    log = tmp_path / "agent.log"
    moments = (None, "trial", "probation", "kept")
    with embedded_broker(port), Listener(port) as ears:
        for release, moment in enumerate(moments, start=2):
            with Service("node_agent.cli", [*arguments, *url], log) as service:
                ears.wait_for(reads(release - 1.0), after=len(ears.said))
                heard = len(ears.said)
                ears.publish(TOPIC, encode(signed(room(f"{release}.0"), release, probation=20)))
                if moment == "trial":
                    # It may be over within the cycle.
                    ears.wait_for(
                        lambda said, release=release: (
                            isinstance(said.message, DeliveryState)
                            and said.message.release == release
                        ),
                        after=heard,
                    )
                elif moment is not None:
                    ears.wait_for(is_in(moment, release), after=heard)
                service.process.send_signal(signal.SIGKILL)
                service.process.wait()
            heard = len(ears.said)
            with Service("node_agent.cli", [*arguments, *url], log) as service:
                ears.wait_for(is_in("kept", release), after=heard)
                ears.wait_for(reads(float(release)), after=heard)
                assert service.stop() == 0, service.output()
