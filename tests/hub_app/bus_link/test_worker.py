"""Division of the nodes between the workers of a hub."""

from pathlib import Path

import pytest
from paho.mqtt.client import topic_matches_sub

from bus.client import credentials
from bus.client.credentials import Credentials
from bus.config import config_file
from bus.config.broker_table import Share
from bus.config.settings import Config
from bus.contract.topics import ACTUATORS, CHANNELS, Topic, TopicKind
from bus.errors import MisconfiguredError
from hub_app.bus_link import embedding, worker
from hub_app.bus_link.worker import Worker
from hub_app.homeassistant.setup import site_of

NODES = [f"node-{number}" for number in range(2000)]
HUB = ("cluster.role=hub", "cluster.node_id=revpi", "broker.url=mqtt://mq")


def workers(count: int) -> list[Worker]:
    return [Worker("revpi", Share(index, count)) for index in range(1, count + 1)]


def config(*keys: str) -> Config:
    return config_file.load(None, [*HUB, *keys])


def test_each_node_is_of_one_worker() -> None:
    found = workers(4)
    assert all(sum(each.holds(node) for each in found) == 1 for node in NODES)


def test_the_shares_are_of_like_size() -> None:
    for each in workers(4):
        assert 400 < sum(each.holds(node) for node in NODES) < 600


def test_one_worker_more_takes_nodes_and_moves_no_others() -> None:
    before, after = workers(3), workers(4)
    for old, new in zip(before, after, strict=False):
        assert {n for n in NODES if new.holds(n)} < {n for n in NODES if old.holds(n)}


def test_a_topic_is_of_its_node() -> None:
    first, second = workers(2)
    assert first.holds_topic("harvester/node-1/readings/air") == first.holds("node-1")
    assert first.holds("node-1") != second.holds("node-1")


def test_alarms_of_a_workers_own_machine_are_its_own() -> None:
    for each in workers(9):
        assert each.holds(each.name)


def test_workers_differ_in_account_site_and_mark_of_discovery() -> None:
    site = ("fleet.url=postgresql://db/fleet", "fleet.site=berlin")
    first, second = (config(f"broker.share={index}/2", *site) for index in (1, 2))
    assert [worker.of(each).user for each in (first, second)] == ["hub_app-1", "hub_app-2"]  # type: ignore[union-attr]
    assert worker.with_own_site(first).fleet.site == "berlin-1"
    assert site_of(first).origin["name"] != site_of(second).origin["name"]


def test_a_hub_with_all_nodes_keeps_its_names() -> None:
    whole = config("fleet.url=postgresql://db/fleet", "fleet.site=berlin")
    assert worker.of(whole) is None
    assert worker.with_own_site(whole) == whole


def test_workers_log_in_with_the_token_of_the_hub(tmp_path: Path) -> None:
    credentials.save(
        tmp_path / credentials.HUB_FILE_NAME, Credentials(username="hub_app", token="secret")
    )
    login = embedding.outside_broker(
        config(f"storage.state_dir={tmp_path}", "broker.share=2/4"), {}
    ).login
    assert login is not None
    assert (login.username, login.token) == ("hub_app-2", "secret")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (("broker.share=5/4",), "broker.share: found '5/4', expected a worker from 1 to 4"),
        (("broker.share=half",), "broker.share: found 'half', expected \"K/N\", worker K of N"),
        (("broker.share=0/4",), "broker.share: found '0/4', expected \"K/N\", worker K of N"),
        (("broker.share=1/2", "broker.url="), "expected it on a hub with broker.url only"),
        (
            ("broker.share=1/2", "homeassistant.broker=mqtt://ha"),
            "homeassistant.broker: found 'mqtt://ha' with broker.share, expected none",
        ),
    ],
)
def test_a_share_that_cannot_be_is_refused(keys: tuple[str, ...], said: str) -> None:
    with pytest.raises(MisconfiguredError) as refused:
        config(*keys)
    assert said in str(refused.value)


def test_with_qos_0_each_topic_but_commands_matches_one_filter() -> None:
    for kind in TopicKind:
        names = {TopicKind.RESULT: ACTUATORS}.get(kind, ("room",))
        for name in names if "*" in CHANNELS[kind].levels else ("",):
            topic = str(Topic("pi4", kind, name))
            found = [each for each in worker.filters(0) if topic_matches_sub(each, topic)]
            assert len(found) == (kind is not TopicKind.COMMAND), topic
            is_sure = bool({*found} & {*worker.SURE_FILTERS})
            assert is_sure == (kind in {TopicKind.EVENT, TopicKind.RECORD})
