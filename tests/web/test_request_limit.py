"""The limit on requests, shared by processes that write down what they counted."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import gevent
import pytest

from mox.store.ephemeral import Ephemeral, open_ephemeral
from mox.web.request_limit import RequestLimit
from tests.store.test_ephemeral import close

PEER = ip_address("192.0.2.1")
# What may pass, or be counted twice, while counts are on their way.
SLACK = 50


class Clock:
    now = 1_800_000_000.0 // 3600 * 3600

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def env(tmp_path: Path) -> Iterator[Ephemeral]:
    opened = open_ephemeral(tmp_path)
    yield opened
    close(opened)


def admitted(limit: RequestLimit, ip: object, requests: int) -> int:
    """Make requests, as others are served in between."""
    count = 0
    for _ in range(requests):
        count += limit.admits(ip)  # type: ignore[arg-type]
        gevent.sleep(1e-6)
    while not all(batch.written or not batch.counts for batch in limit._batches[:-1]):
        gevent.sleep(0.001)
    return count


def test_an_address_has_a_thousand_a_minute(env: Ephemeral) -> None:
    clock = Clock()
    limit = RequestLimit(env, clock)
    assert abs(admitted(limit, PEER, 1200) - 1000) <= SLACK
    assert admitted(limit, PEER, 200) == 0
    assert admitted(limit, ip_address("198.51.100.1"), 5) == 5
    clock.now += 60
    assert abs(admitted(limit, PEER, 1200) - 1000) <= SLACK


def test_an_hour_has_five_thousand(env: Ephemeral) -> None:
    clock = Clock()
    limit = RequestLimit(env, clock)
    total = 0
    for _ in range(7):
        total += admitted(limit, PEER, 1000)
        clock.now += 60
    assert abs(total - 5000) <= SLACK


def test_a_network_has_three_times_as_much(env: Ephemeral) -> None:
    limit = RequestLimit(env, Clock())
    each = [admitted(limit, ip_address(f"192.0.2.{i}"), 1000) for i in range(1, 6)]
    assert abs(sum(each) - 3000) <= SLACK
    assert each[4] == 0


def test_processes_share_the_counts(env: Ephemeral) -> None:
    clock = Clock()
    first, second = RequestLimit(env, clock), RequestLimit(env, clock)
    assert admitted(first, PEER, 600) == 600
    # But for the few that are not written down yet.
    assert abs(admitted(second, PEER, 600) - 400) <= SLACK


def test_local_processes_are_not_counted(env: Ephemeral) -> None:
    limit = RequestLimit(env, Clock())
    assert admitted(limit, ip_address("127.0.0.1"), 1100) == 1100
    assert admitted(limit, ip_address("::1"), 1100) == 1100


def test_without_the_environment_everything_is_allowed() -> None:
    assert admitted(RequestLimit(None, Clock()), PEER, 1100) == 1100
