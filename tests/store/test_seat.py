"""When the committer's thread keeps to one CPU."""

from __future__ import annotations

import os
import threading

import pytest

from mox.store import seat
from mox.store.seat import FIRST_ABSENCE_S, LONGEST_ABSENCE_S, LOOK_S, Seat

ALL = {2, 3, 5}


class Machine:
    """A thread's CPUs, its clock, and what the kernel says of its time."""

    def __init__(self) -> None:
        self.now = 100.0
        self.ran = self.waited = 0.0
        self.cpus = set(ALL)
        self.looks = 0

    def times(self) -> tuple[float, float]:
        self.looks += 1
        return self.ran, self.waited

    def move(self, thread: int, cpus: set[int] | list[int]) -> None:
        assert thread == 0, "the calling thread"
        self.cpus = set(cpus)

    def passes(self, seconds: float, ran: float = 0.0, waited: float = 0.0) -> None:
        self.now += seconds
        self.ran += ran
        self.waited += waited


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(machine.cpus))
    monkeypatch.setattr(os, "sched_setaffinity", machine.move)
    return machine


def seat_in(machine: Machine, number: int = 0) -> Seat:
    return Seat(number, lambda: machine.now, machine.times)


@pytest.mark.parametrize(("number", "cpu"), [(0, 2), (1, 3), (2, 5), (3, 2), (7, 3)])
def test_each_number_has_a_cpu_of_its_own_while_they_last(
    machine: Machine, number: int, cpu: int
) -> None:
    seat_in(machine, number).look(2)
    assert machine.cpus == {cpu}


def test_writes_that_come_one_by_one_need_no_seat(machine: Machine) -> None:
    mine = seat_in(machine)
    for _ in range(5):
        mine.look(1)
        machine.passes(LOOK_S)
    assert machine.cpus == ALL
    assert not machine.looks, "nor need the kernel be asked"


def test_the_seat_is_left_when_writes_come_one_by_one_again(machine: Machine) -> None:
    mine = seat_in(machine)
    mine.look(4)
    machine.passes(LOOK_S / 2)
    mine.look(3)
    machine.passes(LOOK_S)
    mine.look(1)
    assert machine.cpus == {2}, "there was a batch of several since the last look"
    machine.passes(LOOK_S)
    mine.look(1)
    assert machine.cpus == ALL
    machine.passes(LOOK_S)
    mine.look(2)
    assert machine.cpus == {2}, "and taken again at once"


def test_a_thread_that_waits_longer_than_it_runs_leaves_for_a_while(machine: Machine) -> None:
    mine = seat_in(machine)
    mine.look(2)
    machine.passes(LOOK_S, ran=0.02, waited=0.019)
    mine.look(2)
    assert machine.cpus == {2}
    machine.passes(LOOK_S, ran=0.02, waited=0.021)
    mine.look(2)
    assert machine.cpus == ALL
    machine.passes(FIRST_ABSENCE_S - LOOK_S)
    mine.look(2)
    assert machine.cpus == ALL
    machine.passes(LOOK_S)
    mine.look(2)
    assert machine.cpus == {2}


def test_a_wait_of_some_milliseconds_is_no_reason(machine: Machine) -> None:
    mine = seat_in(machine)
    mine.look(2)
    machine.passes(LOOK_S, ran=0.0001, waited=0.009)
    mine.look(2)
    assert machine.cpus == {2}


def test_whoever_has_to_leave_again_and_again_stays_away_longer(machine: Machine) -> None:
    mine = seat_in(machine)
    absences = []
    for _ in range(8):
        mine.look(2)
        assert machine.cpus == {2}
        machine.passes(LOOK_S, waited=0.05)
        mine.look(2)
        left = machine.now
        while machine.cpus == ALL:
            machine.passes(LOOK_S)
            mine.look(2)
        absences.append(round(machine.now - left))
    assert absences[:4] == [FIRST_ABSENCE_S * factor for factor in (1, 2, 4, 8)]
    assert absences[-1] == LONGEST_ABSENCE_S


def test_looks_are_rare(machine: Machine) -> None:
    mine = seat_in(machine)
    for _ in range(1000):
        mine.look(2)
        machine.passes(LOOK_S / 100)
    assert 9 <= machine.looks <= 11


@pytest.mark.parametrize("what", ["sched_setaffinity", "sched_getaffinity"])
def test_where_the_cpus_cannot_be_chosen_the_thread_is_one_like_others(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, what, refuse)
    mine = seat_in(machine)
    for _ in range(3):
        mine.look(2)
        machine.passes(LOOK_S)
    assert machine.cpus == ALL
    assert machine.looks == 1


def test_where_the_kernel_keeps_no_figures_there_is_no_seat(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seat, "_TIMES", "/nonexistent/schedstat")
    mine = Seat(0, lambda: machine.now)
    mine.look(2)
    assert machine.cpus == ALL


def test_only_the_calling_thread_sits() -> None:
    """With the kernel's own figures."""
    before = os.sched_getaffinity(0)
    seen: list[set[int]] = []

    def sit() -> None:
        Seat(1).look(2)
        seen.append(os.sched_getaffinity(0))

    thread = threading.Thread(target=sit)
    thread.start()
    thread.join()
    assert seen == [{sorted(before)[1 % len(before)]}]
    assert os.sched_getaffinity(0) == before
