"""Every program on the hub's machine finds the same files, whatever directory it was given."""

from pathlib import Path

from bus.client import credentials
from bus.config import config_file, hub_files
from bus.config.settings import Config

CONFIG = config_file.load(None, ["cluster.role=hub", "cluster.node_id=revpi"])
SHELL = {"HOME": "/root"}


def found(service: Path, environment: dict[str, str], config: Config = CONFIG) -> Path:
    return hub_files.of(config, environment, service).state_dir


def test_the_service_its_agent_and_a_shell_agree(tmp_path: Path) -> None:
    service = tmp_path / "harvester-hub"
    service.mkdir()
    environments = [
        {"STATE_DIRECTORY": str(service)},
        {"STATE_DIRECTORY": str(tmp_path / "harvester-agent")},
        SHELL,
    ]
    assert {found(service, each) for each in environments} == {service / "revpi"}


def test_without_the_service_the_users_own_directory_counts(tmp_path: Path) -> None:
    expected = Path("/root/.local/state/harvester/revpi")
    assert found(tmp_path / "none", SHELL) == expected
    assert credentials.path_for(CONFIG, SHELL) == expected / "credentials.toml"


def test_what_is_configured_goes_first(tmp_path: Path) -> None:
    config = config_file.load(
        None,
        ["cluster.role=hub", "storage.state_dir=/s", "broker.credentials_file=/c/pi.toml"],
    )
    assert found(tmp_path, SHELL, config) == Path("/s")
    assert hub_files.of(config, SHELL).tls_dir == Path("/s/tls")
    assert credentials.path_for(config, SHELL) == Path("/c/pi.toml")


def test_workers_share_accounts_and_certificates_and_have_a_state_each() -> None:
    first, second = (
        config_file.load(
            None,
            [
                *("cluster.role=hub", "storage.state_dir=/s", "broker.url=mqtt://mq"),
                f"broker.share={index}/2",
            ],
        )
        for index in (1, 2)
    )
    files = [hub_files.of(config, SHELL) for config in (first, second)]
    assert [each.state_dir for each in files] == [Path("/s/worker-1"), Path("/s/worker-2")]
    assert {each.accounts for each in files} == {Path("/s/accounts.json")}
    assert {each.tls_dir for each in files} == {Path("/s/tls")}
    assert credentials.path_for(first, SHELL) == Path("/s/credentials.toml")


def test_a_spokes_credentials_lie_beside_its_configuration(tmp_path: Path) -> None:
    path = tmp_path / "spoke.toml"
    path.write_text("")
    assert credentials.path_for(config_file.load(path), SHELL) == tmp_path / "credentials.toml"
