"""Long commands and the event loop."""

from __future__ import annotations

import os

import pytest

from mox.imapd import pace
from mox.imapd.pace import Courtesy, release


def test_a_list_is_emptied_step_by_step() -> None:
    turns: list[int] = []
    objects = list(range(12_345))
    release(objects, lambda: turns.append(len(objects)))
    assert objects == []
    assert turns == [7345, 2345, 0]


class Cpu:
    """What becomes of the CPU when it is offered to others."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 5.0
        self.others_take_s = 0.0
        self.offers: list[int] = []
        self.told = 0
        monkeypatch.setattr(os, "sched_yield", self.offer)
        monkeypatch.setattr(pace.time, "monotonic", lambda: self.now)

    def offer(self) -> None:
        self.offers.append(self.told)
        self.now += self.others_take_s

    def tell(self, courtesy: Courtesy, clients: int) -> None:
        for _ in range(clients):
            self.told += 1
            courtesy()


def test_those_who_were_told_get_the_cpu_between_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cpu = Cpu(monkeypatch)
    cpu.others_take_s = 0.0005
    cpu.tell(Courtesy(), 30)
    assert cpu.offers == [8, 16, 24]


def test_a_program_that_keeps_the_cpu_is_not_offered_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cpu = Cpu(monkeypatch)
    courtesy = Courtesy()
    cpu.tell(courtesy, 8)
    cpu.others_take_s = 0.003
    cpu.tell(courtesy, 100)
    assert cpu.offers == [8, 16]
    cpu.tell(Courtesy(), 8)
    assert cpu.offers == [8, 16, 116], "the next news is another matter"
