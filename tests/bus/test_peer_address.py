"""Addresses of network peers, in one spelling."""

import pytest

from bus.peer_address import network_of


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
