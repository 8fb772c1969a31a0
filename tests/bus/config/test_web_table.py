"""The [web] table: path prefix, reverse proxies and HTTPS."""

import pytest

from bus.config import config_file
from bus.errors import MisconfiguredError


@pytest.mark.parametrize("path", ["", "/harvester", "/a/b-c_d~e.f"])
def test_a_path_prefix_is_taken(path: str) -> None:
    assert config_file.load(None, [f"web.root_path={path}"]).web.root_path == path


@pytest.mark.parametrize("path", ["/", "harvester", "/harvester/", "/a//b", "/..", "/a b", "/a?b"])
def test_what_is_no_path_prefix_is_named(path: str) -> None:
    with pytest.raises(MisconfiguredError, match=r"web\.root_path: .* a path such as /harvester"):
        config_file.load(None, [f"web.root_path={path}"])


def test_a_proxy_is_an_address_or_a_network() -> None:
    found = config_file.load(None, ['web.trusted_proxies=["192.168.7.2", "fd00::/8"]'])
    assert found.web.trusted_proxies == ("192.168.7.2", "fd00::/8")
    with pytest.raises(MisconfiguredError, match=r"web\.trusted_proxies\[1\]: found 'proxy'"):
        config_file.load(None, ['web.trusted_proxies=["::1", "proxy"]'])


def test_only_the_hub_speaks_https() -> None:
    assert config_file.load(None, ["cluster.role=hub", "web.tls=true"]).web.tls
    with pytest.raises(MisconfiguredError, match=r"web\.tls: .* only the hub speaks HTTPS"):
        config_file.load(None, ["cluster.role=spoke", "web.tls=true"])
