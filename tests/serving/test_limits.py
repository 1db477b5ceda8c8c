from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace

import gevent
import pytest

from mox.serving.context import Context
from mox.serving.limits import Limits, Refusal, Window
from mox.store.ephemeral import Ephemeral, open_ephemeral
from tests.serving.harness import logged
from tests.store.test_ephemeral import close

PEER = ip_address("192.0.2.1")
MINUTE, DAY = 60.0, 86400.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0 // DAY * DAY

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def env(tmp_path: Path) -> Iterator[Ephemeral]:
    opened = open_ephemeral(tmp_path)
    yield opened
    close(opened)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits(env: Ephemeral, clock: Clock) -> Limits:
    return Limits(env, 1, clock)


def opened(limits: Limits, ip: str = "192.0.2.1", group: str = "smtp") -> Refusal | None:
    return limits.connection_opened(group, ip_address(ip), check_auth=True)


def passing(limits: Limits, ip: str = "192.0.2.1", group: str = "smtp") -> Refusal | None:
    """A connection that is over at once."""
    refusal = opened(limits, ip, group)
    if refusal is None:
        limits.connection_closed(group, ip_address(ip))
    return refusal


# Connection rate.


def test_connections_of_one_address_are_limited_per_minute(limits: Limits, clock: Clock) -> None:
    assert [passing(limits) for _ in range(300)] == [None] * 300
    assert passing(limits) is Refusal.CONNECTION_RATE
    assert passing(limits, "192.0.2.2") is None
    assert passing(limits, group="imap") is None
    clock.now += MINUTE - 1
    assert passing(limits) is Refusal.CONNECTION_RATE
    clock.now += 1
    assert passing(limits) is None


def test_connections_of_a_network_are_limited_together(limits: Limits) -> None:
    for host in (1, 2, 3):
        assert {passing(limits, f"192.0.2.{host}") for _ in range(300)} == {None}
    assert passing(limits, "192.0.2.4") is Refusal.CONNECTION_RATE
    assert passing(limits, "192.0.2.64") is None


def test_ipv6_counts_by_its_own_widths(limits: Limits) -> None:
    assert {passing(limits, f"2001:db8::{host:x}") for host in range(300)} == {None}
    assert passing(limits, "2001:db8::ffff") is Refusal.CONNECTION_RATE
    assert passing(limits, "2001:db8:0:1::1") is None


def test_a_refused_connection_is_not_counted(limits: Limits) -> None:
    for host in (1, 2):
        for _ in range(300):
            passing(limits, f"192.0.2.{host}")
    for _ in range(500):
        assert passing(limits, "192.0.2.1") is Refusal.CONNECTION_RATE
    assert {passing(limits, "192.0.2.3") for _ in range(300)} == {None}


# Open connections.


def test_open_connections_are_limited_and_come_back(limits: Limits) -> None:
    assert [opened(limits) for _ in range(30)] == [None] * 30
    assert opened(limits) is Refusal.OPEN_CONNECTIONS
    limits.connection_closed("smtp", PEER)
    assert opened(limits) is None
    assert opened(limits) is Refusal.OPEN_CONNECTIONS


def test_web_clients_may_have_more_connections(limits: Limits) -> None:
    refusals = [opened(limits, group="http") for _ in range(101)]
    assert refusals == [None] * 100 + [Refusal.OPEN_CONNECTIONS]
    assert opened(limits) is None  # counted apart
    for _ in range(100):
        limits.connection_closed("http", PEER)
    rest = [passing(limits, group="http") for _ in range(900)]
    assert rest == [None] * 899 + [Refusal.CONNECTION_RATE]


def test_open_connections_of_a_network_are_limited_together(limits: Limits) -> None:
    for host in (1, 2, 3):
        assert {opened(limits, f"192.0.2.{host}") for _ in range(30)} == {None}
    assert opened(limits, "192.0.2.4") is Refusal.OPEN_CONNECTIONS
    assert opened(limits, "192.0.2.65") is None


def test_open_connections_stay_when_the_minute_passes(limits: Limits, clock: Clock) -> None:
    for _ in range(30):
        opened(limits)
    clock.now += 10 * MINUTE
    assert opened(limits) is Refusal.OPEN_CONNECTIONS


def test_workers_count_together_and_a_restarted_slot_starts_empty(
    env: Ephemeral, clock: Clock
) -> None:
    first, second = Limits(env, 1, clock), Limits(env, 2, clock)
    for _ in range(10):
        assert opened(first) is None
    for _ in range(20):
        assert opened(second) is None
    assert opened(first) is opened(second) is Refusal.OPEN_CONNECTIONS
    # The second worker crashed; another one takes its slot.
    second = Limits(env, 2, clock)
    assert {opened(second) for _ in range(20)} == {None}
    assert opened(second) is Refusal.OPEN_CONNECTIONS


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1"])
def test_local_processes_have_no_connection_limits(limits: Limits, ip: str) -> None:
    assert {opened(limits, ip) for _ in range(400)} == {None}
    limits.connection_closed("smtp", ip_address(ip))


def test_another_loopback_address_is_a_peer(limits: Limits) -> None:
    for _ in range(30):
        opened(limits, "127.0.0.2")
    assert opened(limits, "127.0.0.2") is Refusal.OPEN_CONNECTIONS


# Failed logins.


def fail(limits: Limits, times: int, ip: str = "192.0.2.1") -> list[bool]:
    return [limits.auth_failed(ip_address(ip)) for _ in range(times)]


@pytest.mark.parametrize("ip", ["192.0.2.1", "127.0.0.1"])
def test_failed_logins_close_the_door_for_a_minute(limits: Limits, clock: Clock, ip: str) -> None:
    assert fail(limits, 11, ip) == [True] * 10 + [False]
    assert not limits.auth_allowed(ip_address(ip))
    assert opened(limits, ip) is Refusal.AUTH_FAILURES
    assert limits.connection_opened("smtp", ip_address(ip), check_auth=False) is None
    clock.now += MINUTE
    assert limits.auth_allowed(ip_address(ip))
    assert opened(limits, ip) is None


def test_failed_logins_are_limited_per_day_too(limits: Limits, clock: Clock) -> None:
    for _ in range(5):
        assert all(fail(limits, 10))
        clock.now += MINUTE
    assert not limits.auth_allowed(PEER)
    clock.now += DAY
    assert limits.auth_allowed(PEER)


def test_success_forgives_the_address_and_its_part_in_the_network(limits: Limits) -> None:
    for host in (1, 2, 3):
        fail(limits, 10, f"192.0.2.{host}")
    assert not limits.auth_allowed(ip_address("192.0.2.4"))
    limits.auth_succeeded(PEER)
    assert limits.auth_failed(PEER)
    assert fail(limits, 10, "192.0.2.4") == [True] * 9 + [False]
    assert not limits.auth_allowed(ip_address("192.0.2.2"))


def test_success_without_failures_writes_nothing(limits: Limits, env: Ephemeral) -> None:
    limits.auth_allowed(PEER)
    before = env.read(lambda txn: txn.id())
    limits.auth_succeeded(PEER)
    env.write(lambda txn: None)
    assert env.read(lambda txn: txn.stat()["entries"]) == 0
    assert before <= env.read(lambda txn: txn.id())


# Any rate.


def test_rate_counts_n_in_each_window(limits: Limits, clock: Clock) -> None:
    windows = [Window(60, 10), Window(3600, 15)]
    assert limits.rate("recipients", b"mjl", 8, windows)
    assert not limits.rate("recipients", b"mjl", 3, windows)
    assert limits.rate("recipients", b"mjl", 2, windows)
    assert limits.rate("recipients", b"other", 10, windows)
    assert limits.rate("messages", b"mjl", 10, windows)
    clock.now += 60
    assert limits.rate("recipients", b"mjl", 5, windows)
    assert not limits.rate("recipients", b"mjl", 1, windows)


def test_rate_takes_keys_of_any_length(limits: Limits) -> None:
    for key in (b"", b"\0", b"k" * 10_000, b"k" * 10_001):
        assert limits.rate("x", key, 1, [Window(60, 1)])
        assert not limits.rate("x", key, 1, [Window(60, 1)])


def test_past_windows_are_swept(limits: Limits, env: Ephemeral, clock: Clock) -> None:
    for n in range(50):
        limits.rate("x", b"%d" % n, 1, [Window(60, 10), Window(600, 10)])
    clock.now += 60
    limits.rate("x", b"new", 1, [Window(60, 10), Window(600, 10)])
    assert env.read(lambda txn: txn.stat()["entries"]) == 52
    clock.now += 600
    limits.rate("x", b"new", 1, [Window(60, 10), Window(600, 10)])
    assert env.read(lambda txn: txn.stat()["entries"]) == 2


def test_sweeping_leaves_other_kinds_alone(limits: Limits, env: Ephemeral, clock: Clock) -> None:
    limits.rate("a", b"1", 1, [Window(60, 10)])
    limits.rate("ab", b"1", 1, [Window(60, 10)])
    limits.connection_opened("smtp", PEER, check_auth=True)
    entries = env.read(lambda txn: txn.stat()["entries"])
    clock.now += 60
    limits.rate("ab", b"1", 1, [Window(60, 10)])
    assert env.read(lambda txn: txn.stat()["entries"]) == entries


# Without the environment.


def test_without_an_environment_everything_is_allowed() -> None:
    limits = Limits(None, 1)
    assert {opened(limits) for _ in range(400)} == {None}
    assert all(fail(limits, 100))
    assert limits.auth_allowed(PEER)
    assert limits.rate("x", b"", 10, [Window(60, 1)])
    limits.connection_closed("smtp", PEER)
    limits.auth_succeeded(PEER)


def test_an_environment_that_fails_lets_through_and_logs(tmp_path: Path) -> None:
    env = open_ephemeral(tmp_path)
    limits = Limits(env, 1)
    close(env)
    with logged() as log:
        assert limits.auth_allowed(PEER)
    assert log.containing("letting through")


def test_limits_of_a_worker_without_a_place_for_them(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("in the way")
    config = SimpleNamespace(current=SimpleNamespace(data_dir=tmp_path))
    ctx = Context(kind="smtp", slot=1, config_source=config)
    with logged() as log:
        assert opened(ctx.limits) is None
        assert ctx.resolver is ctx.resolver
    assert len(log.containing("no limits")) == 1


# Two processes.

OTHER_WORKER = """
import sys
from ipaddress import ip_address
from pathlib import Path
from mox.serving.limits import Limits
from mox.store.ephemeral import open_ephemeral
limits = Limits(open_ephemeral(Path(sys.argv[1])), 2, lambda: float(sys.argv[2]))
for line in sys.stdin:
    ip = ip_address("192.0.2.1")
    if line == "open\\n":
        print(limits.connection_opened("smtp", ip, check_auth=True), flush=True)
    elif line == "fail\\n":
        print(limits.auth_failed(ip), flush=True)
"""


def test_two_processes_share_the_limits(limits: Limits, clock: Clock, tmp_path: Path) -> None:
    command = [sys.executable, "-c", OTHER_WORKER, str(tmp_path), str(clock.now)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as other:

        def ask(what: str) -> str:
            assert other.stdin is not None and other.stdout is not None
            other.stdin.write(what + "\n")
            other.stdin.flush()
            return other.stdout.readline().strip()

        for _ in range(15):
            assert (str(opened(limits)), ask("open")) == ("None", "None")
        assert opened(limits) is Refusal.OPEN_CONNECTIONS
        assert ask("open") == "too many open connections"
        for _ in range(5):
            assert (fail(limits, 1), ask("fail")) == ([True], "True")
        assert (fail(limits, 1), ask("fail")) == ([False], "False")
        other.kill()
    # What the dead process had open is gone when its slot is taken again.
    again = Limits(limits._ephemeral, 2, clock)
    for _ in range(15):
        again.auth_succeeded(PEER)
        assert opened(again) is None
    gevent.sleep(0)
