"""Addresses of network peers, in one spelling, and the client that a reverse proxy tells of."""

import pytest

from bus.peer_address import TrustedProxies, network_of

PROXIES = TrustedProxies(["127.0.0.1", "::1", "10.0.0.0/24"])


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.168.7.4", "192.168.7.4"),
        ("::ffff:192.168.7.4", "192.168.7.4"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("a name", "a name"),
        ("", ""),
    ],
)
def test_limits_count_by_the_address_or_its_ipv6_network(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize(
    ("address", "is_trusted"),
    [
        *(("127.0.0.1", True), ("::ffff:127.0.0.1", True), ("::1", True), ("10.0.0.9", True)),
        *(("127.0.0.2", False), ("10.0.1.9", False), ("fe80::1%eth0", False), ("", False)),
    ],
)
def test_an_address_is_trusted_in_each_spelling(address: str, *, is_trusted: bool) -> None:
    assert (address in PROXIES) is is_trusted


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.168.7.4", ["10.9.9.9"], "192.168.7.4"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["192.168.7.4"], "192.168.7.4"),
        ("127.0.0.1", ["10.9.9.9, 192.168.7.4"], "192.168.7.4"),
        ("127.0.0.1", ["10.9.9.9", "192.168.7.4"], "192.168.7.4"),
        ("127.0.0.1", ["10.9.9.9, 192.168.7.4, 10.0.0.3"], "192.168.7.4"),
        ("127.0.0.1", ["[2001:db8::1]:443"], "2001:db8::1"),
        ("127.0.0.1", ["192.168.7.4:51312"], "192.168.7.4"),
        ("127.0.0.1", ["10.9.9.9, unknown"], "127.0.0.1"),
        ("127.0.0.1", [""], "127.0.0.1"),
    ],
)
def test_the_client_is_the_last_address_that_a_trusted_proxy_saw(
    peer: str, forwarded: list[str], client: str
) -> None:
    assert PROXIES.client_of(peer, forwarded) == client
