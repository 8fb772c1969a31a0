from pathlib import Path

import pytest

from bus.config import directories
from bus.config.settings import BrokerConfig, ClusterConfig, Config, StorageConfig
from bus.errors import MisconfiguredError

CONFIG = Config(cluster=ClusterConfig(node_id="pi4"), broker=BrokerConfig(url="mqtt://hub"))


def test_a_service_keeps_things_where_systemd_says() -> None:
    environment = {"CACHE_DIRECTORY": "/var/cache/harvester", "STATE_DIRECTORY": "/a:/b"}
    assert directories.cache_dir(CONFIG, environment) == Path("/var/cache/harvester/components")
    assert directories.state_dir(CONFIG, environment) == Path("/a/pi4")


def test_a_person_keeps_them_at_home() -> None:
    environment = {"HOME": "/home/ann"}
    assert directories.cache_dir(CONFIG, environment) == Path(
        "/home/ann/.cache/harvester/components"
    )
    assert directories.state_dir(CONFIG, environment) == Path(
        "/home/ann/.local/state/harvester/pi4"
    )


def test_the_configuration_goes_first() -> None:
    config = Config(
        broker=BrokerConfig(url="mqtt://hub"), storage=StorageConfig(state_dir="/s", cache_dir="/c")
    )
    assert directories.cache_dir(config, {"CACHE_DIRECTORY": "/x"}) == Path("/c")
    assert directories.state_dir(config, {"STATE_DIRECTORY": "/x"}) == Path("/s")


def test_one_directory_for_state_and_runtime_files_is_refused() -> None:
    with pytest.raises(MisconfiguredError, match=r"storage\.runtime_dir: found '/s'"):
        Config(
            broker=BrokerConfig(url="mqtt://hub"),
            storage=StorageConfig(state_dir="/s", runtime_dir="/s"),
        )
