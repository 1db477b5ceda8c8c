from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from mox.networks import endpoint, is_this_host, network_keys


@pytest.mark.parametrize(
    ("ip", "networks"),
    [
        ("192.0.2.77", ["192.0.2.77/32", "192.0.2.64/26", "192.0.0.0/21"]),
        ("255.255.255.255", ["255.255.255.255/32", "255.255.255.192/26", "255.255.248.0/21"]),
        ("2001:db8:1:2:3::4", ["2001:db8:1:2::/64", "2001:db8:1::/48", "2001:db8::/32"]),
    ],
)
def test_three_networks_around_an_address(ip: str, networks: list[str]) -> None:
    expected = []
    for text in networks:
        network = ip_network(text)
        mapped = network.version == 4
        packed = network.network_address.packed
        prefix = network.prefixlen + (96 if mapped else 0)
        expected.append((b"\0" * 10 + b"\xff\xff" if mapped else b"") + packed + bytes([prefix]))
    assert list(network_keys(ip_address(ip))) == expected


def test_equal_beginnings_of_different_widths_differ() -> None:
    assert len(set(network_keys(ip_address("192.0.0.0")))) == 3


@pytest.mark.parametrize(
    ("ip", "local"),
    [("127.0.0.1", True), ("::1", True), ("127.0.0.2", False), ("192.0.2.1", False)],
)
def test_only_two_addresses_are_this_host(ip: str, local: bool) -> None:
    assert is_this_host(ip_address(ip)) is local


@pytest.mark.parametrize(
    ("address", "ip"),
    [
        (("192.0.2.1", 25), "192.0.2.1"),
        (("::ffff:192.0.2.1", 25, 0, 0), "192.0.2.1"),
        (("fe80::1%eth0", 25, 0, 2), "fe80::1"),
    ],
)
def test_socket_addresses_become_values(address, ip: str) -> None:
    assert endpoint(address) == (ip_address(ip), 25)
