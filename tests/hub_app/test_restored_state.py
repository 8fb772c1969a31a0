"""Start of a hub whose restore was interrupted after its journal was written."""

import asyncio
from pathlib import Path

import pytest

from bus.config import config_file
from bus.config.settings import Config
from bus.errors import MisconfiguredError
from bus.files import staged_moves
from bus.files.staged_moves import Replacement
from hub_app.process import own_state


def config_of(state: Path) -> Config:
    return config_file.load(None, [f"storage.state_dir={state}", "cluster.role=hub"])


def interrupted(state: Path, place: Path) -> None:
    """Leave a restore that is to replace one file."""
    staged = state / ".restore" / "files" / "new"
    staged.parent.mkdir(parents=True)
    staged.write_text("new")
    place.write_text("old")
    aside = str(place.with_name("aside"))
    staged_moves.commit(state, [Replacement(str(place), str(staged), aside)])


def start(state: Path) -> None:
    async def run() -> None:
        async with own_state.own_state(config_of(state), {}):
            pass

    asyncio.run(run())


def test_it_is_finished(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    interrupted(state, state / "accounts.json")
    start(state)
    assert (state / "accounts.json").read_text() == "new"
    assert (state / "aside").read_text() == "old"
    assert not (state / ".restore").exists()
    # Once and for all.
    (state / "accounts.json").write_text("newer")
    start(state)
    assert (state / "accounts.json").read_text() == "newer"


def test_a_hub_whose_configuration_was_replaced_starts_again(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    interrupted(state, tmp_path / "hub.toml")
    with pytest.raises(own_state.RestoredError, match="start the hub again"):
        start(state)
    assert (tmp_path / "hub.toml").read_text() == "new"
    start(state)


def test_what_the_hub_may_not_move_is_left_to_a_person(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    interrupted(state, tmp_path / "hub.toml")
    (tmp_path / "hub.toml").unlink()
    (tmp_path / "hub.toml").mkdir()
    (tmp_path / "hub.toml" / "x").touch()
    (tmp_path / "aside").mkdir()
    with pytest.raises(MisconfiguredError, match="finish it with `sudo harvester restore`"):
        start(state)


def test_two_hubs_do_not_share_a_state(tmp_path: Path) -> None:
    async def twice() -> None:
        async with own_state.own_state(config_of(tmp_path), {}):
            with pytest.raises(MisconfiguredError, match="another program uses it"):
                async with own_state.own_state(config_of(tmp_path), {}):
                    pass

    asyncio.run(twice())
