"""Which way of syncing several things is chosen, from what both have cost."""

from __future__ import annotations

from mox.store import syncways
from mox.store.syncways import Ways


class Disk:
    """Syncs by the way that is chosen; what that takes is said in seconds."""

    def __init__(self, apart_s: float, together_s: float) -> None:
        self.ways = Ways()
        self.apart_s = apart_s
        self.together_s = together_s

    def sync(self, count: int) -> bool:
        """Whether together."""
        together = self.ways.prefers_together(count)
        if together:
            self.ways.took_together(self.together_s)
        else:
            for _ in range(count):
                self.ways.took_apart(self.apart_s)
        return together


def test_one_is_synced_by_itself() -> None:
    disk = Disk(100.0, 0.001)
    assert not any(disk.sync(1) for _ in range(10))


def test_syncfs_is_tried_the_first_time_that_there_are_several() -> None:
    assert Disk(0.001, 5.0).sync(2)


def test_the_cheaper_way_is_found() -> None:
    disk = Disk(0.001, 0.003)
    for count in (1, 5) * 30:
        disk.sync(count)
    assert not disk.sync(2)
    assert disk.sync(20)


def test_syncfs_that_has_become_dear_is_left_alone_and_tried_again() -> None:
    disk = Disk(0.001, 5.0)
    disk.ways.apart_s = disk.ways.together_s = 0.001
    assert disk.sync(10)
    disk.together_s = 0.0001
    assert [disk.sync(2) for _ in range(syncways._FIRST_PAUSE)] == [False, False, False, True]
    assert disk.sync(2), "once found cheap it is used again"


def test_syncfs_that_stays_dear_is_tried_less_and_less() -> None:
    disk = Disk(0.001, 5.0)
    # At once, and after 4, 8, 16 … 256 times.
    tried = [number for number in range(1000) if disk.sync(2)]
    assert tried == [0, 4, 12, 28, 60, 124, 252, 508, 764]


def test_one_slow_syncfs_is_soon_forgiven() -> None:
    disk = Disk(0.001, 5.0)
    for number in range(2000):  # so dear for a while that it is hardly tried any more
        disk.together_s = 5.0 if number < 1000 else 0.0001
        disk.sync(2)
    disk.together_s = 5.0
    assert disk.sync(2)
    disk.together_s = 0.0001
    assert any(disk.sync(2) for _ in range(syncways._FIRST_PAUSE))
