"""Equal questions at the same time share one exchange."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from mox.dns import Answer, Status
from mox.dns.flights import Flights
from tests.support.server import eventually

KEY = ("a.example", "TXT")
OK = Answer(Status.OK)
TROUBLE = Answer(Status.TEMPORARY, error="timed out")


def started(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_one_after_the_other_are_two_questions() -> None:
    flights = Flights()
    asked: list[float] = []
    for limit_s in (1.0, 2.0):
        assert flights.ask(KEY, limit_s, lambda left_s: asked.append(left_s) or OK) is OK
    assert asked == [1.0, 2.0]


def test_who_waits_goes_on_when_the_first_is_stopped() -> None:
    flights = Flights()
    flying, stop = threading.Event(), threading.Event()

    def stopped(left_s: float) -> Answer:
        flying.set()
        stop.wait(10)
        raise InterruptedError

    def interrupted() -> None:
        with pytest.raises(InterruptedError):
            flights.ask(KEY, 10, stopped)

    first = started(interrupted)
    flying.wait(10)
    answers: list[Answer | None] = []
    second = started(lambda: answers.append(flights.ask(KEY, 10, lambda left_s: OK)))
    stop.set()
    for thread in (first, second):
        thread.join(10)
    assert answers == [OK]


def test_waiting_ends_with_the_own_limit() -> None:
    flights = Flights()
    flying, stop = threading.Event(), threading.Event()

    def slow(left_s: float) -> Answer:
        flying.set()
        stop.wait(10)
        return OK

    first = started(lambda: flights.ask(KEY, 10, slow))
    flying.wait(10)
    assert flights.ask(KEY, 0.01, lambda left_s: OK) is None
    stop.set()
    first.join(10)


def test_trouble_of_one_with_less_time_is_not_ours() -> None:
    flights = Flights()
    flying, stop = threading.Event(), threading.Event()

    def hasty(left_s: float) -> Answer:
        flying.set()
        stop.wait(10)
        return TROUBLE

    first = started(lambda: flights.ask(KEY, 0.5, hasty))
    flying.wait(10)
    answers: list[Answer | None] = []
    second = started(lambda: answers.append(flights.ask(KEY, 10, lambda left_s: OK)))
    stop.set()
    for thread in (first, second):
        thread.join(10)
    assert answers == [OK]


GREENLETS = """
from gevent import monkey
monkey.patch_all()
import gevent
from mox.dns import Resolver
from tests.support.fakedns import FakeDNS, Mischief

question = ("a.example", "TXT")
with FakeDNS({question: ['"x"']}, mischief=Mischief(delays={question: 0.2})) as dns:
    resolver = Resolver(server=dns.server)
    first = gevent.spawn(resolver.query, *question)
    others = [gevent.spawn(resolver.query, *question) for _ in range(20)]
    gevent.sleep(0.02)
    first.kill()
    gevent.joinall(others)
    print({each.value.status.name for each in others}, len(dns.queries))
"""


def test_greenlets_share_and_outlive_the_first() -> None:
    command = [sys.executable, "-c", GREENLETS]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ran.stdout == "{'OK'} 2\n", ran.stderr


def test_no_time_is_no_answer() -> None:
    assert Flights().ask(KEY, 0, lambda left_s: OK) is None


def test_nothing_is_left_behind() -> None:
    flights = Flights()
    flights.ask(KEY, 1, lambda left_s: OK)
    with pytest.raises(ZeroDivisionError):
        flights.ask(KEY, 1, lambda left_s: 1 // 0)  # type: ignore[arg-type,return-value]
    eventually(lambda: not flights._flights)
