"""The public addresses of this server."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from pathlib import Path

import pytest

from mox.config import load
from mox.keeper.ownaddresses import _ipv6, interface_addresses, public_addresses
from tests.config.texts import DYNAMIC, STATIC

MACHINE = ["8.8.8.8", "192.168.1.1", "2a00:1450::1", "fe80::1", "127.0.0.1", "::1"]


@pytest.mark.parametrize(
    ("ips", "nat_ips", "expected"),
    [
        (["8.8.4.4"], [], ["8.8.4.4"]),
        (["8.8.4.4", "2a00:1450::2", "8.8.4.4"], [], ["8.8.4.4", "2a00:1450::2"]),
        (["127.0.0.1", "10.1.2.3", "::1", "fe80::1", "100.64.0.1", "fd00::1"], [], []),
        (["0.0.0.0"], [], ["8.8.8.8"]),
        (["::"], [], ["2a00:1450::1"]),
        (["0.0.0.0", "::"], [], ["8.8.8.8", "2a00:1450::1"]),
        (["192.168.1.1"], ["8.8.4.4"], ["8.8.4.4"]),
        (["0.0.0.0"], ["8.8.4.4"], ["8.8.4.4"]),
    ],
)
def test_public_addresses(
    tmp_path: Path, ips: list[str], nat_ips: list[str], expected: list[str]
) -> None:
    text = "\n".join(f"\t\t\t- {ip}" for ip in ips)
    if nat_ips:
        text += "\n\t\tNATIPs:\n" + "\n".join(f"\t\t\t- {ip}" for ip in nat_ips)
    (tmp_path / "mox.conf").write_text(STATIC.replace("\t\t\t- 127.0.0.1", text))
    (tmp_path / "domains.conf").write_text(DYNAMIC)
    config = load(tmp_path / "mox.conf", check_files=False)
    found = public_addresses(config, lambda: map(ip_address, MACHINE))
    assert list(map(str, found)) == expected


def test_interfaces_have_the_address_that_the_machine_sends_from() -> None:
    addresses = interface_addresses()
    assert ip_address("127.0.0.1") in addresses
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", 9))
        assert ip_address(sock.getsockname()[0]) in addresses


def test_ipv6_addresses_are_read_from_the_kernels_table(tmp_path: Path) -> None:
    table = tmp_path / "if_inet6"
    table.write_text(
        "20010db8000000000000000000000001 02 40 00 80     eth0\n"
        "00000000000000000000000000000001 01 80 10 80       lo\n"
    )
    assert list(map(str, _ipv6(table))) == ["2001:db8::1", "::1"]
    assert list(_ipv6(tmp_path / "missing")) == []
