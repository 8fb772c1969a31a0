"""Components are fetched whole, resumed where they were cut off, and compared with the digest."""

import contextlib
import queue
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.client.login import Login
from bus.contract.plugin_file.order import BundleOrder
from bus.errors import UnavailableError
from node_agent.delivery import component_fetcher
from node_agent.delivery.component_fetcher import ComponentFetcher, Order
from node_agent.delivery.component_source import ComponentSource, HubAddress
from tests.node_agent.delivery.fake_hub import FakeHub, basic, path_of
from tests.signed_bundles import component, make_order
from tests.support import WAIT_S, free_port, wait_until

CONTENT = component("2.0", 3)


class Fetch:
    """An order of a component, and what became of it."""

    def __init__(self, folder: Path, port: int, content: bytes = CONTENT) -> None:
        self.folder, self.port = folder, port
        self.target, self.partial = folder / "room.wasm", folder / "room.wasm.fetched"
        self.told: list[str] = []
        self.ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.said: BundleOrder = make_order(
            content, 1, form="component", size_bytes=len(content), contract="1.1.0", port=port
        )

    @property
    def order(self) -> Order:
        return Order(self.said, self.target, self.partial, self.told.append, self.ended.put)

    def end(self) -> str:
        return self.ended.get(timeout=WAIT_S)


@contextlib.contextmanager
def fetching(hub: FakeHub, wanted: Fetch) -> Iterator[ComponentFetcher]:
    fetcher = ComponentFetcher(hub.address)
    fetcher.start()
    fetcher.want("room", wanted.order)
    try:
        yield fetcher
    finally:
        fetcher.stop(WAIT_S)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(component_fetcher, "_OPENING_S", 0.0)
    monkeypatch.setattr(component_fetcher, "_FIRST_WAIT_S", 0.01)


def test_a_component_is_fetched_with_the_nodes_login_and_kept_under_its_name(
    tmp_path: Path,
) -> None:
    with FakeHub(CONTENT).serving() as hub:
        wanted = Fetch(tmp_path / "new", hub.port)
        with fetching(hub, wanted):
            assert wanted.end() == ""
    assert wanted.target.read_bytes() == CONTENT
    assert not wanted.partial.exists()
    assert (hub.paths, hub.logins) == ([path_of(wanted.said.sha256)], {basic()})
    assert wanted.told[0] == "0.0 of 3.1 MB"
    assert wanted.told[-1].endswith(" of 3.1 MB")


def test_a_transfer_that_is_cut_off_goes_on_where_it_was(tmp_path: Path) -> None:
    with FakeHub(CONTENT, 1_000_000, 500_000).serving() as hub:
        wanted = Fetch(tmp_path, hub.port)
        with fetching(hub, wanted):
            assert wanted.end() == ""
    assert hub.asked == ["", "bytes=1000000-", "bytes=1500000-"]
    assert wanted.target.read_bytes() == CONTENT
    assert any("after 1000000 of" in words for words in wanted.told)


def test_what_a_killed_node_had_fetched_is_not_fetched_again(tmp_path: Path) -> None:
    with FakeHub(CONTENT).serving() as hub:
        wanted = Fetch(tmp_path, hub.port)
        wanted.partial.write_bytes(CONTENT[:2_000_000])
        with fetching(hub, wanted):
            assert wanted.end() == ""
    assert hub.asked == ["bytes=2000000-"]
    assert wanted.target.read_bytes() == CONTENT


@pytest.mark.parametrize("content", [CONTENT[:-1] + b"x", CONTENT + bytes(10_000_000)])
def test_other_bytes_than_the_signed_ones_are_refused_and_removed(
    tmp_path: Path, content: bytes
) -> None:
    with FakeHub(content).serving() as hub:
        wanted = Fetch(tmp_path, hub.port)
        with fetching(hub, wanted):
            assert "which is signed" in wanted.end()
    assert len(hub.asked) == 3
    assert list(tmp_path.iterdir()) == []


def test_a_component_that_the_hub_does_not_have_is_not_asked_for_again(tmp_path: Path) -> None:
    with FakeHub(CONTENT).serving() as hub:
        hub.status = 404
        wanted = Fetch(tmp_path, hub.port)
        with fetching(hub, wanted):
            assert wanted.end() == ("its component could not be fetched: the hub refused: not now")
    assert len(hub.asked) == 1


def test_a_hub_that_is_away_or_busy_is_asked_again(tmp_path: Path) -> None:
    with FakeHub(CONTENT).serving() as hub:
        hub.status = 503
        wanted = Fetch(tmp_path, hub.port)
        with fetching(hub, wanted):
            wait_until(lambda: len(hub.asked) > 2)
            assert "the hub refused: not now; next try in" in wanted.told[-1]
            hub.status = 200
            assert wanted.end() == ""


def test_a_hub_without_tls_is_told_by_a_node_whose_login_uses_it(tmp_path: Path) -> None:
    with FakeHub(CONTENT).serving() as hub:
        login = Login(username="pi4", token="t" * 32, tls=True)
        source = ComponentSource(lambda: HubAddress("localhost", login), lambda: False)
        said = Fetch(tmp_path, hub.port).said
        with pytest.raises(UnavailableError, match="answers without TLS, which this node"):
            source.fetch(said, tmp_path / "part", lambda _there: None)


def test_a_fetch_ends_after_a_day_of_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(component_fetcher, "_GIVE_UP_S", 0.0)
    wanted = Fetch(tmp_path, free_port())
    with fetching(FakeHub(CONTENT), wanted):
        assert "no answer of the hub" in wanted.end()


def test_a_newer_order_takes_the_place_of_one_that_waits(tmp_path: Path) -> None:
    newer = component("3.0")
    with FakeHub(newer).serving() as hub:
        waiting = Fetch(tmp_path / "old", free_port())
        wanted = Fetch(tmp_path / "new", hub.port, newer)
        with fetching(hub, waiting) as fetcher:
            fetcher.want("room", wanted.order)
            assert wanted.end() == ""
            assert waiting.ended.empty()
    assert wanted.target.read_bytes() == newer


def test_a_disk_that_is_full_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(component_fetcher, "_SPARE_BYTES", 1 << 62)
    monkeypatch.setattr(component_fetcher, "_GIVE_UP_S", 0.0)
    wanted = Fetch(tmp_path, free_port())
    with fetching(FakeHub(CONTENT), wanted):
        assert " MB free, expected " in wanted.end()
