"""The addresses of this machine: none is its loopback, each is one that it has."""

import ipaddress
import socket

from bus.client.own_addresses import own_addresses


def test_each_is_an_address_of_this_machine() -> None:
    found = own_addresses()
    assert len(found) == len(set(found))
    for text in found:
        address = ipaddress.ip_address(text)
        assert not address.is_loopback
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        with socket.socket(family, socket.SOCK_STREAM) as own:
            own.bind((text, 0))
