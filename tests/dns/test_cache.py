"""The cache: how long, how much, and what goes over to other processes."""

from __future__ import annotations

import pytest

from mox.dns import Answer, Status
from mox.dns import cache as cache_module
from mox.dns.cache import Cache
from tests.support.dnsrecords import record_of

KEY = ("a.example", "TXT")


class Shared(dict[bytes, bytes]):
    def get(self, key: bytes, now: float) -> bytes | None:  # type: ignore[override]
        return super().get(key)

    def put(self, key: bytes, value: bytes, expires: float, now: float) -> None:
        self[key] = value


def ok(rdtype: str, *texts: str, ttl: int = 60) -> Answer:
    records = tuple(record_of(rdtype, text) for text in texts)
    return Answer(Status.OK, records, True, ttl, "b.example")


@pytest.mark.parametrize(
    ("answer", "kept_s"),
    [
        (ok("TXT", '"x"'), 60),
        (ok("TXT", '"x"', ttl=86400), 3600),
        (ok("TXT", '"x"', ttl=0), 0),
        (Answer(Status.NXDOMAIN, ttl=60), 60),
        (Answer(Status.NODATA, ttl=86400), 900),
        (Answer(Status.TEMPORARY, ttl=60), 0),
    ],
)
def test_how_long_answers_are_kept(answer: Answer, kept_s: int) -> None:
    cache = Cache()
    cache.put(KEY, answer, 100.0)
    assert (cache.get(KEY, 100.0) is answer) is (kept_s > 0)
    assert (cache.get(KEY, 99.5 + kept_s) is answer) is (kept_s > 0)
    assert cache.get(KEY, 100.0 + kept_s) is None


@pytest.mark.parametrize(
    "answer",
    [
        ok("TXT", '"v=spf1 " "-all"', '"\\000\\255"'),
        ok("MX", "10 mx.a.example.", "20 ."),
        ok("AAAA", "2001:db8::1"),
        ok("TLSA", "3 1 1 " + "ab" * 32),
        Answer(Status.NXDOMAIN, (), True, 60, "c.example"),
        Answer(Status.NODATA, (), False, 60, "c.example"),
    ],
)
def test_answers_come_back_whole_from_other_processes(answer: Answer) -> None:
    shared = Shared()
    Cache(shared).put(KEY, answer, 100.0)
    other = Cache(shared)
    assert other.get(KEY, 101.0) is None
    assert other.get_shared(KEY, 101.0) == answer
    assert other.get(KEY, 159.0) == answer
    assert other.get(KEY, 160.0) is None


def test_answers_without_trust_in_ad_are_apart() -> None:
    shared = Shared()
    Cache(shared, trusts_ad=True).put(KEY, ok("TXT", '"x"'), 100.0)
    assert Cache(shared, trusts_ad=False).get_shared(KEY, 100.0) is None


@pytest.mark.parametrize("value", [b"", b"\xff", b"\x90", b"\x97\xcb" + bytes(20)])
def test_what_cannot_be_read_is_not_there(value: bytes) -> None:
    shared = Shared({b"-TXT a.example": value})
    assert Cache(shared).get_shared(KEY, 100.0) is None


def test_a_full_cache_drops_what_expired_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_MAX_ENTRIES", 4)
    cache = Cache()
    for number in range(4):
        ttl = 10 if number == 2 else 60
        cache.put((f"{number}.example", "A"), ok("A", "192.0.2.1", ttl=ttl), 100.0)
    cache.put(("4.example", "A"), ok("A", "192.0.2.1"), 120.0)
    kept = [number for number in range(5) if cache.get((f"{number}.example", "A"), 121.0)]
    assert kept == [0, 1, 3, 4]
    cache.put(("5.example", "A"), ok("A", "192.0.2.1"), 120.0)
    kept = [number for number in range(6) if cache.get((f"{number}.example", "A"), 121.0)]
    assert kept == [3, 4, 5]
