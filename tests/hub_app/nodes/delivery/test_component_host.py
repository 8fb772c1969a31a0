"""Host at which nodes of another broker fetch components, as the signed orders name it."""

import datetime as dt
from pathlib import Path

import msgspec
import pytest

from broker.auth import certificates
from bus.config import hub_files
from bus.config.settings import Config
from hub_app.nodes.delivery import component_host
from hub_app.nodes.delivery.component_host import ComponentHost

PLAIN, TLS = "mqtt://10.0.0.9", "mqtts://10.0.0.9"


def found(state: Path, url: str, *names: str, **web: object) -> ComponentHost:
    """Return where nodes fetch from a hub whose certificate has these names, or which has none."""
    config = msgspec.convert(
        {
            "cluster": {"node_id": "revpi", "role": "hub"},
            "storage": {"state_dir": str(state)},
            "broker": {"url": url},
            "web": web,
        },
        Config,
    )
    files = hub_files.of(config, {})
    if names:
        certificates.init(files.tls_dir, names, dt.datetime.now(dt.UTC))
    return component_host.of(config, files)


@pytest.mark.parametrize(
    ("names", "web", "host"),
    [
        (["hub.lan"], {"join_name": "attic.lan"}, "attic.lan"),
        (["localhost", "127.0.0.1", "hub.lan", "10.0.0.2"], {}, "hub.lan"),
        ([], {"join_listen": "10.0.0.2"}, "10.0.0.2"),
    ],
    ids=["configured", "of the certificate", "bound to"],
)
def test_an_order_names_the_host_that_nodes_reach(
    tmp_path: Path, names: list[str], web: dict[str, object], host: str
) -> None:
    assert found(tmp_path, PLAIN, *names, **web).host() == host


def test_an_order_of_the_hubs_own_broker_names_no_host(tmp_path: Path) -> None:
    assert found(tmp_path, "", join_name="attic.lan").host() == ""


@pytest.mark.parametrize(
    ("url", "names", "is_refused"),
    [("", [], False), (PLAIN, [], False), (TLS, ["hub.lan"], False), (TLS, [], True)],
)
def test_a_hub_without_a_certificate_sends_no_components_by_a_broker_with_tls(
    tmp_path: Path, url: str, names: list[str], *, is_refused: bool
) -> None:
    obstacle = found(tmp_path, url, *names).obstacle
    assert ("run `harvester tls init`" in obstacle) == is_refused
