"""resolv.conf: whom to ask, and whether to believe the AD bit."""

from __future__ import annotations

from pathlib import Path

import pytest

from mox.dns import Resolver
from mox.dns.servers import one_server, read_servers


@pytest.mark.parametrize(
    ("text", "trusts_ad"),
    [
        ("nameserver 127.0.0.1\n", True),
        ("nameserver 127.0.0.53\nnameserver ::1\n", True),
        ("nameserver 192.0.2.1\n", False),
        ("nameserver 127.0.0.1\nnameserver 192.0.2.1\n", False),
        ("nameserver 192.0.2.1\noptions edns0 trust-ad\n", True),
        ("options trust-ad\nsearch example\nnameserver fe80::1%eth0\n", True),
        ("nameserver 192.0.2.1\n# options trust-ad\n; options trust-ad\n", False),
        ("nameserver 192.0.2.1\nsearch trust-ad\n", False),
    ],
)
def test_ad_is_trusted_from_loopback_or_when_told(
    tmp_path: Path, text: str, trusts_ad: bool
) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text(text)
    assert read_servers(str(path)).trusts_ad is trusts_ad


def test_servers_come_in_order(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_bytes(b"nameserver 192.0.2.2\nnameserver bad\nnameserver\n\xff\nnameserver ::1 x\n")
    assert read_servers(str(path)).addresses == (("192.0.2.2", 53), ("::1", 53))


@pytest.mark.parametrize("text", ["", "nameserver\n", "search example\n", "nameserver a.example\n"])
def test_without_a_server_it_says_what_to_do(tmp_path: Path, text: str) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text(text)
    assert "name a name server" in read_servers(str(path)).problem


def test_one_server() -> None:
    assert one_server("[::1]:5353").addresses == (("::1", 5353),)
    assert one_server("127.0.0.1:53").trusts_ad
    assert not one_server("192.0.2.1:53").trusts_ad
    assert one_server("localhost:53").problem
    assert one_server("127.0.0.1").problem


def test_a_changed_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOX_DNS_SERVER", raising=False)
    path = tmp_path / "resolv.conf"
    path.write_text("search example\n")
    now = 100.0
    resolver = Resolver(resolv_conf=str(path), clock=lambda: now)
    assert "name a name server" in resolver.query("a.example", "A").error
    new = tmp_path / "new"
    new.write_text("nameserver 127.0.0.1\noptions trust-ad\n")
    new.rename(path)
    now += 5
    resolver.query("a..example", "A")
    assert not resolver.trusts_ad
    now += 5
    resolver.query("a..example", "A")
    assert resolver.trusts_ad
