"""Signatures of what arrives: evaluated for the decision, long bodies piecewise, and counted."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import gevent
import pytest
from gevent.pool import Pool
from prometheus_client import REGISTRY

from mox import turns
from mox.address import Path as SmtpPath
from mox.address import parse_domain
from mox.delivery import authenticate
from mox.delivery.authenticate import Checks, Client
from mox.delivery.headers import Headers
from mox.mailauth import canonical
from mox.mailauth.content import LONG_BODY_OCTETS, PIECE_OCTETS
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
        headers = Headers(spool.octets())
        return Checks(resolver).authenticate(CLIENT, spool, headers)  # type: ignore[arg-type]


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
def test_others_have_their_turn_after_each_piece_of_a_long_body(
    tmp_path: Path, pool: BlockingPool, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    happened: list[int] = []  # octets of a piece, 0 for a turn
    feed = canonical.BodyCanonicalizer.feed

    def noted(self: canonical.BodyCanonicalizer, piece: bytes) -> Iterator[bytes]:
        happened.append(len(piece))
        return feed(self, piece)

    monkeypatch.setattr(canonical.BodyCanonicalizer, "feed", noted)
    monkeypatch.setattr(turns, "give_turn", lambda: happened.append(0))
    message = handmade(message=MESSAGE + b"x\n" * size)
    [result] = authenticated(message, tmp_path, pool).dkim
    assert result.status == "pass", result.problem
    assert sum(happened) > 2 * size
    assert max(happened) <= PIECE_OCTETS
    assert happened[1::2] == [0] * (len(happened) // 2)


def test_few_long_bodies_are_hashed_at_once(
    tmp_path: Path, pool: BlockingPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = Checks(KEYS)  # type: ignore[arg-type]
    under_way: list[int] = []
    most = 0

    def noted(steps: Iterator[None]) -> None:
        nonlocal most
        under_way.append(1)
        most = max(most, len(under_way))
        for _ in steps:
            gevent.sleep(0)
        under_way.pop()

    monkeypatch.setattr(authenticate, "in_turns", noted)
    message = handmade(message=MESSAGE + b"x\n" * LONG_BODY_OCTETS).replace(b"\n", b"\r\n")

    def one(_: int) -> str:
        with Spool(str(tmp_path), pool) as spool:
            spool.write(message)
            headers = Headers(spool.octets())
            [result] = checks.authenticate(CLIENT, spool, headers).dkim
            return result.status

    assert Pool(10).map(one, range(10)) == ["pass"] * 10
    assert most == 4


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
