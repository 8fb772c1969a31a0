"""Commands on a hub whose workers each have a part of the nodes."""

import contextlib
from pathlib import Path

import pytest

from broker.auth import accounts
from harvester import cli
from hub_app.history.query import known_names
from hub_app.history.schema import open_history
from hub_app.history.writer import Arrival, Writer
from hub_app.nodes.removal import removals
from tests.hub_app.history.samples import START, reading


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hub.toml").write_text(
        '[cluster]\nnode_id = "revpi"\nrole = "hub"\n[storage]\nstate_dir = "state"\n'
        '[broker]\nurl = "mqtt://mq"\n'
    )
    for index, node in ((1, "pi4"), (2, "pi5")):
        path = tmp_path / "state" / f"worker-{index}" / known_names.FILE_NAME
        with contextlib.closing(open_history(path)) as db:
            Writer(db).store([Arrival(reading(1, node=node), is_late=False)], [], START)
    return tmp_path / "state"


def run(*arguments: str) -> None:
    cli.main([*arguments, "--config", "hub.toml"])


def removed_at(state: Path, index: int) -> set[str]:
    return set(removals.load(state / f"worker-{index}" / removals.FILE_NAME).nodes)


def test_a_node_is_removed_whichever_worker_has_it(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    accounts.enroll(state / "accounts.json", "pi5")
    run("node", "remove", "pi5")
    assert "pi5: removed at worker-1, worker-2 of this machine" in capsys.readouterr().out
    assert removed_at(state, 1) == removed_at(state, 2) == {"pi5"}
    assert not accounts.load(state / "accounts.json").nodes
    assert not (state / removals.FILE_NAME).exists()
    # Again is fine, as is one that has a login and has said nothing yet.
    run("node", "remove", "pi5", "--history")
    accounts.enroll(state / "accounts.json", "new")
    run("node", "remove", "new")
    run("node", "remove", "pi4", "--sensor", "room")
    capsys.readouterr()
    run("node", "list")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        *(["new", "removed"], ["pi4", "no"], ["pi5", "removed"])
    ]


def test_a_worker_that_is_named_is_the_only_one(state: Path) -> None:
    run("node", "remove", "pi5", "--set", "broker.share=2/2")
    assert (removed_at(state, 1), removed_at(state, 2)) == (set(), {"pi5"})


def test_a_node_that_no_worker_knows_is_refused(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run("node", "remove", "pi6")
    assert "found no node pi6; expected one of pi4, pi5" in capsys.readouterr().err
    assert removed_at(state, 1) == set()


@pytest.mark.parametrize("command", [("history", "export", "-"), ("nodes", "update")])
@pytest.mark.usefixtures("state")
def test_what_is_of_one_worker_asks_for_its_name(
    capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit):
        run(*command)
    said = capsys.readouterr().err
    assert "found workers, worker-1, worker-2" in said
    assert "--set broker.share=1/2" in said
