"""Locks on the state of a hub and of its workers."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from bus.config import config_file
from bus.config.settings import Config
from bus.errors import MisconfiguredError
from bus.files import staged_moves
from bus.files.staged_moves import Replacement
from hub_app.process.own_state import own_state


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bus.files.database.lock.__defaults__", (0.0,))


def config(folder: Path, share: str = "") -> Config:
    keys = ["cluster.role=hub", f"storage.state_dir={folder}", "broker.url=mqtt://mq"]
    return config_file.load(None, [*keys, f"broker.share={share}"])


async def enter(*configs: Config) -> None:
    first, *others = configs
    async with own_state(first, {}):
        if others:
            await enter(*others)


def test_workers_run_side_by_side(tmp_path: Path) -> None:
    asyncio.run(enter(config(tmp_path, "1/2"), config(tmp_path, "2/2")))


@pytest.mark.parametrize(("first", "second"), [("1/2", "1/2"), ("1/2", ""), ("", "1/2"), ("", "")])
def test_two_of_one_share_and_a_hub_beside_its_workers_are_refused(
    tmp_path: Path, first: str, second: str
) -> None:
    with pytest.raises(MisconfiguredError, match="another program uses it"):
        asyncio.run(enter(config(tmp_path, first), config(tmp_path, second)))


def test_a_worker_waits_for_a_restore_to_be_finished(tmp_path: Path) -> None:
    staged_moves.commit(tmp_path, [Replacement(str(tmp_path / "history.db"))])
    with pytest.raises(MisconfiguredError, match="found a restore that was interrupted"):
        asyncio.run(enter(config(tmp_path, "1/2")))


def test_what_a_killed_hub_was_writing_is_removed_at_the_next_start(tmp_path: Path) -> None:
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait()
    half = tmp_path / "plugin-bundles" / f".{'a' * 64}.bundle.{killed.pid}.partial"
    whole = half.with_name(f"{'a' * 64}.bundle")
    half.parent.mkdir()
    for path in (half, whole):
        path.touch()
    asyncio.run(enter(config(tmp_path)))
    assert whole.exists()
    assert not half.exists()
