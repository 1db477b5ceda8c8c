"""DNS answers in the ephemeral environment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from mox.dns import Resolver, Status
from mox.store import answers
from mox.store.answers import SharedAnswers
from mox.store.ephemeral import Ephemeral, open_ephemeral
from tests.store.test_ephemeral import close
from tests.support.fakedns import FakeDNS
from tests.support.server import eventually


@pytest.fixture
def env(tmp_path: Path) -> Iterator[Ephemeral]:
    opened = open_ephemeral(tmp_path)
    yield opened
    close(opened)


def settle(env: Ephemeral, shared: SharedAnswers) -> None:
    """Wait until what was put is written."""
    shared.flush()
    env.write(lambda txn: None)


def entries(env: Ephemeral) -> int:
    return env.read(lambda txn: int(txn.stat()["entries"]))


def test_a_value_is_there_until_it_expires(env: Ephemeral) -> None:
    shared = SharedAnswers(env)
    shared.put(b"TXT a.example", b"value", expires=20.0, now=10.0)
    settle(env, shared)
    assert shared.get(b"TXT a.example", 19.9) == b"value"
    assert shared.get(b"TXT a.example", 20.0) is None
    assert shared.get(b"TXT b.example", 10.0) is None


def test_what_is_put_is_written_after_a_while(env: Ephemeral) -> None:
    shared = SharedAnswers(env)
    for number in range(3):
        shared.put(b"%d" % number, b"value", expires=20.0, now=10.0)
    assert entries(env) == 0
    eventually(lambda: gevent.sleep(0.01) or entries(env) == 3)


def test_long_keys_and_values_are_left_out(env: Ephemeral) -> None:
    shared = SharedAnswers(env)
    shared.put(b"x" * 600, b"value", 20.0, 10.0)
    shared.put(b"key", b"v" * 2000, 20.0, 10.0)
    settle(env, shared)
    assert entries(env) == 0
    assert shared.get(b"x" * 600, 10.0) is None


def test_expired_values_go_as_new_ones_come(env: Ephemeral) -> None:
    shared = SharedAnswers(env)
    env.write(lambda txn: txn.put(b"w counter", b"1"))
    for number in range(100):
        shared.put(b"old %d" % number, b"value", expires=20.0, now=10.0)
    settle(env, shared)
    assert entries(env) == 101
    for number in range(60):
        shared.put(b"new %d" % number, b"value", expires=90.0, now=30.0)
    settle(env, shared)
    assert entries(env) == 61
    assert shared.get(b"new 7", 30.0) == b"value"


def test_when_it_is_full_nothing_is_added(env: Ephemeral, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_MAX_ENTRIES", 10)
    shared = SharedAnswers(env)
    for number in range(30):
        shared.put(b"%d" % number, b"value", expires=20.0, now=10.0)
    settle(env, shared)
    assert entries(env) == 10


def test_an_environment_that_fails_is_like_an_empty_one(tmp_path: Path) -> None:
    env = open_ephemeral(tmp_path)
    shared = SharedAnswers(env)
    close(env)
    assert shared.get(b"key", 1.0) is None
    shared.put(b"key", b"value", 2.0, 1.0)
    shared.flush()


OTHER_WORKER = """
import sys
from pathlib import Path
from mox.dns import Resolver
from mox.store.answers import SharedAnswers
from mox.store.ephemeral import open_ephemeral
resolver = Resolver(server=sys.argv[2], shared=SharedAnswers(open_ephemeral(Path(sys.argv[1]))))
for name, rdtype in (("a.example", "TXT"), ("a.example", "MX"), ("none.example", "A")):
    answer = resolver.query(name, rdtype)
    print(answer.status.name, answer.authentic, [record.to_text() for record in answer.records])
"""


def test_what_one_process_looked_up_another_does_not_ask_again(
    env: Ephemeral, tmp_path: Path
) -> None:
    zone = {
        ("a.example", "TXT"): ['"v=spf1 -all"'],
        ("a.example", "MX"): ["10 mx.a.example."],
        ("example", "SOA"): ["ns.example. x.example. 1 1 1 1 300"],
    }
    with FakeDNS(zone, authentic=True) as dns:
        shared = SharedAnswers(env)
        resolver = Resolver(server=dns.server, shared=shared)
        assert resolver.query("A.example", "TXT").status is Status.OK
        assert resolver.query("a.example", "MX").authentic
        assert resolver.query("none.example", "A").status is Status.NXDOMAIN
        settle(env, shared)
        asked = list(dns.queries)
        command = [sys.executable, "-c", OTHER_WORKER, str(tmp_path), dns.server]
        other = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert dns.queries == asked
    assert other.stdout.splitlines() == [
        "OK True ['\"v=spf1 -all\"']",
        "OK True ['10 mx.a.example.']",
        "NXDOMAIN True []",
    ], other.stderr
