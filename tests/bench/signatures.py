"""What DKIM costs: signing, verifying, and how long a large message holds up the event loop."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import gevent

from mox.address import Address, parse_domain
from mox.config.domain import DEFAULT_SIGNED_HEADERS
from mox.mailauth import dkim
from mox.mailauth.canonical import Canonicalization
from mox.mailauth.content import Run, SignedContent, run_here
from mox.mailauth.dkimsign import Signer, sign
from mox.mailauth.results import DKIMStatus
from mox.turns import in_turns
from tests.bench.scenarios import report
from tests.mailauth.dkimkeys import ED25519, NOW, KeyZone, record, rsa_key

DOMAIN = parse_domain("example.org")
AUTHOR = Address("a", DOMAIN)
KINDS = {"RSA-2048": rsa_key(), "Ed25519": ED25519}
HEADER = b"""From: a@example.org
To: b@example.net
Subject: Minutes of the meeting
Date: Thu, 01 Jan 2026 00:00:00 +0000
Message-Id: <a@example.org>
Content-Type: text/plain

"""
_WORDS = [b"lorem", b"ipsum", b"dolor", b"sit ", b"\tamet,", b"consetetur", b""]


def measure(quick: bool) -> None:
    """Report all; relaxed/relaxed is the costlier and more usual form."""
    times = 200 if quick else 1000
    for kind in KINDS:
        content = HEADER + _text(5_000)
        fields = _signed(kind, content)
        seconds = _best(lambda kind=kind, content=content: _signed(kind, content), times)  # type: ignore[misc]
        report(f"DKIM, sign 5 KB with {kind}, relaxed", seconds * 1000, "ms")
        whole = fields + content
        seconds = _best(lambda kind=kind, whole=whole: _verify(kind, whole), times)  # type: ignore[misc]
        report(f"DKIM, verify 5 KB with {kind}, key known", seconds * 1000, "ms")
    _large(10_000_000)


def _large(size: int) -> None:
    for name, body in (("text", _text(size)), ("blanks", b" " * size + b"x\n")):
        whole = _signed("RSA-2048", HEADER + body) + HEADER + body
        began = time.perf_counter()
        _verify("RSA-2048", whole)
        report(
            f"DKIM, verify {size // 1_000_000} MB of {name}",
            (time.perf_counter() - began) * 1000,
            "ms",
        )
        stalls = sorted(
            _stall(lambda whole=whole: _verify("RSA-2048", whole, in_turns))  # type: ignore[misc]
            for _ in range(7)
        )
        report("  longest stop of the loop, median of 7", stalls[3] * 1000, "ms", "limit 20")
        report("  the same, worst of seven", stalls[-1] * 1000, "ms", "limit 20")


def _signed(kind: str, content: bytes) -> bytes:
    relaxed = Canonicalization.RELAXED
    signer = Signer(
        domain=DOMAIN,
        selector="sel",
        key=KINDS[kind],
        names=DEFAULT_SIGNED_HEADERS,
        header=relaxed,
        body=relaxed,
    )
    return sign([signer], SignedContent(content), AUTHOR, NOW).replace(b"\r\n", b"\n")


def _verify(kind: str, message: bytes, run: Run = run_here) -> None:
    zone = KeyZone({"sel._domainkey.example.org": record(KINDS[kind])})
    [result] = dkim.verify(zone, message, NOW, run=run)
    assert result.status is DKIMStatus.PASS, result.problem


def _text(size: int) -> bytes:
    chance = random.Random(1)
    lines = [b" ".join(chance.choices(_WORDS, k=9)) + b"\n" for _ in range(1000)]
    text = b"".join(lines)
    return (text * (size // len(text) + 1))[:size]


def _best(work: Callable[[], object], times: int) -> float:
    """Seconds for one, the best of five rounds."""
    rounds = []
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(times // 5):
            work()
        rounds.append((time.perf_counter() - began) / (times // 5))
    return min(rounds)


def _stall(work: Callable[[], object]) -> float:
    """Seconds by which a greenlet that wakes each millisecond was late at most.

    Without the time in which this thread could have run, but the machine ran others.
    """
    worst = 0.0
    done = False

    def tick() -> None:
        nonlocal worst
        last = time.perf_counter() - _waited_s()
        while not done:
            gevent.sleep(0.001)
            now = time.perf_counter() - _waited_s()
            worst = max(worst, now - last - 0.001)
            last = now

    ticking = gevent.spawn(tick)
    gevent.sleep(0.01)
    work()
    done = True
    ticking.join()
    return worst


def _waited_s() -> float:
    """How long this thread has waited for a processor so far (proc(5): schedstat)."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) * 1e-9


if __name__ == "__main__":
    measure(quick=True)
