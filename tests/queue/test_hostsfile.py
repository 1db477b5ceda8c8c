from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mox.queue.hostsfile import LOCALHOST, HostsFile, parse

TEXT = b"""\
# comment
127.0.0.1 localhost
192.0.2.1\trelay.example Relay2.Example. # more
2001:db8::1 relay.example
192.0.2.1 relay.example
nonsense bad.example
192.0.2.9
"""


def test_names_and_their_addresses() -> None:
    names = {name: [str(ip) for ip in ips] for name, ips in parse(TEXT).items()}
    assert names == {
        "localhost": ["127.0.0.1"],
        "relay.example": ["192.0.2.1", "2001:db8::1"],
        "relay2.example": ["192.0.2.1"],
    }


@given(st.binary(max_size=200))
def test_anything_can_be_read(data: bytes) -> None:
    parse(data)


def test_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    hosts = HostsFile(str(path))
    assert list(hosts.addresses("relay.example")) == []
    path.write_bytes(TEXT)
    assert hosts.addresses("Relay.example.")[0] == ip_address("192.0.2.1")
    path.write_bytes(b"192.0.2.7 relay.example")
    os.utime(path, (1, 1))
    assert list(hosts.addresses("relay.example")) == [ip_address("192.0.2.7")]
    path.unlink()
    assert list(hosts.addresses("relay.example")) == []


def test_localhost_needs_no_file(tmp_path: Path) -> None:
    hosts = HostsFile(str(tmp_path / "none"))
    assert hosts.addresses("localhost") == LOCALHOST
    assert hosts.addresses("a.localhost") == LOCALHOST
    assert list(hosts.addresses("localhost.example")) == []
