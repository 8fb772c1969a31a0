"""Update of a node's machine: published where its record changed, asked for by a file."""

from pathlib import Path

import pytest

from bus.contract.messages import Message, UpdateState
from bus.contract.topics import TopicKind
from bus.errors import BadCommandError
from bus.install import update_record
from bus.install.update_record import TRIAL, UpdateRecord
from bus.install.update_request import FILE_NAME
from node_agent.descriptions.update import MachineUpdate


class Bus:
    """Keeps what is published; nothing while the link is down."""

    def __init__(self) -> None:
        self.is_up = True
        self.said: list[Message] = []

    def publish(self, kind: TopicKind, message: Message, name: str = "") -> bool:
        assert (kind, name) == (TopicKind.UPDATE, "")
        if self.is_up:
            self.said.append(message)
        return self.is_up


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def update(bus: Bus, tmp_path: Path) -> MachineUpdate:
    return MachineUpdate(
        bus, tmp_path, record_file=tmp_path / "update.json", trust_file=tmp_path / "update.toml"
    )


def test_a_record_is_published_once_and_again_after_a_connection(
    bus: Bus, update: MachineUpdate, tmp_path: Path
) -> None:
    update.publish_changed()
    assert bus.said == []
    update_record.save(tmp_path / "update.json", UpdateRecord(phase=TRIAL, target="0.2.0"))
    bus.is_up = False
    update.publish_changed()
    bus.is_up = True
    for _ in range(2):
        update.publish_changed()
    assert bus.said == [UpdateState(TRIAL, "", "0.2.0")]
    update.publish_all()
    assert len(bus.said) == 2


def test_a_damaged_record_stops_nothing(bus: Bus, update: MachineUpdate, tmp_path: Path) -> None:
    (tmp_path / "update.json").write_bytes(b"{")
    update.publish_all()
    assert bus.said == []


def test_a_command_asks_root_to_look(update: MachineUpdate, tmp_path: Path) -> None:
    (tmp_path / "update.toml").touch()
    update.command(b"look")
    assert (tmp_path / FILE_NAME).read_bytes() == b""


@pytest.mark.parametrize("payload", [b"install", b'{"action": "look", "from": "http://x"}', b"{}"])
def test_a_command_says_neither_what_nor_from_where(
    payload: bytes, update: MachineUpdate, tmp_path: Path
) -> None:
    (tmp_path / "update.toml").touch()
    with pytest.raises(BadCommandError):
        update.command(payload)
    assert not (tmp_path / FILE_NAME).exists()


def test_a_machine_that_trusts_no_hub_says_so(update: MachineUpdate) -> None:
    with pytest.raises(BadCommandError, match="harvester install node --credentials"):
        update.command(b"look")
