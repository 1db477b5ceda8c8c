"""Signatures of what arrives: evaluated for the decision, long bodies on a thread, and counted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import gevent
import pytest
from prometheus_client import REGISTRY

from mox.address import Path as SmtpPath
from mox.address import parse_domain
from mox.delivery import authenticate
from mox.delivery.authenticate import Checks, Client
from mox.delivery.headers import Headers
from mox.mailauth import canonical
from mox.mailauth.content import LONG_BODY_OCTETS
from mox.mailauth.results import ARCStatus, Authentication
from mox.store.pool import BlockingPool
from mox.store.spool import Spool
from tests.mailauth.dkimkeys import ED25519, MESSAGE, KeyZone, handmade, record
from tests.support.zone import ZoneResolver

CLIENT = Client(
    remote_ip=ip_address("192.0.2.1"),
    helo=parse_domain("remote.example"),
    hostname=parse_domain("mail.example.org"),
    mail_from=SmtpPath("a", parse_domain("example.org")),
)
KEYS = KeyZone({"sel._domainkey.example.org": record(ED25519)})


@pytest.fixture
def pool() -> Iterator[BlockingPool]:
    pool = BlockingPool(2)
    yield pool
    pool.close()


def authenticated(
    message: bytes, tmp_path: Path, pool: BlockingPool, resolver: ZoneResolver = KEYS
) -> Authentication:
    with Spool(str(tmp_path), pool) as spool:
        spool.write(message.replace(b"\n", b"\r\n"))
        headers = Headers(spool.stored())
        return Checks(resolver, pool).authenticate(CLIENT, spool, headers)  # type: ignore[arg-type]


def counted(algorithm: str, status: str) -> float:
    labels = {"algorithm": algorithm, "status": status}
    return REGISTRY.get_sample_value("mox_dkim_verify_duration_seconds_count", labels) or 0.0


def test_signatures_are_evaluated_and_counted(tmp_path: Path, pool: BlockingPool) -> None:
    before = counted("ed25519-sha256", "pass"), counted("other", "permerror")
    message = handmade({"a": "made-up\x1b"}, message=handmade())
    found = authenticated(message, tmp_path, pool)
    assert [each.status for each in found.dkim] == ["permerror", "pass"]
    assert [str(domain) for domain in found.dkim_domains] == ["example.org"]
    assert found.arc.status is ARCStatus.NONE
    after = counted("ed25519-sha256", "pass"), counted("other", "permerror")
    assert after == (before[0] + 1, before[1] + 1)


@pytest.mark.parametrize("size", [LONG_BODY_OCTETS, 2 << 20], ids=["in memory", "in a file"])
def test_long_body_is_hashed_on_a_thread(
    tmp_path: Path, pool: BlockingPool, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    threads = set()
    feed = canonical.BodyCanonicalizer.feed

    def noted(self: canonical.BodyCanonicalizer, piece: bytes) -> Iterator[bytes]:
        threads.add(threading.get_native_id())
        return feed(self, piece)

    monkeypatch.setattr(canonical.BodyCanonicalizer, "feed", noted)
    message = handmade(message=MESSAGE + b"x\n" * size)
    [result] = authenticated(message, tmp_path, pool).dkim
    assert result.status == "pass", result.problem
    assert len(threads) == 1
    assert threading.get_native_id() not in threads


def test_slow_key_takes_nothing_from_the_others(
    tmp_path: Path, pool: BlockingPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS uses up the time for keys; what was found before still counts."""
    monkeypatch.setattr(authenticate, "KEYS_S", 0.3)

    def before(name: str, rdtype: str) -> None:
        if name.startswith("slow"):
            gevent.sleep(0.35)

    resolver = ZoneResolver(dict(KEYS.zone), before=before)
    message = handmade()
    for selector in ("late", "slow"):
        message = handmade({"s": selector}, message=message)
    # The one that was there first is now the last: put it on top.
    lines = message.split(b"\n")
    found = authenticated(b"\n".join([lines[2], *lines[:2], *lines[3:]]), tmp_path, pool, resolver)
    assert [each.status for each in found.dkim] == ["pass", "permerror", "temperror"]
    assert "too long" in found.dkim[2].problem
