"""Bells and notifications between processes (here: between stores' halves)."""

from __future__ import annotations

import os
from pathlib import Path

import gevent
import gevent.event

from mox.store import Store
from mox.store.bells import ACCOUNTS, QUEUE, Bells
from mox.store.model import Flag, FlagOp, NewMessage


def bells(count: int) -> list[int]:
    return [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(count)]


def is_rung(fd: int) -> bool:
    try:
        return os.eventfd_read(fd) > 0
    except BlockingIOError:
        return False


def test_only_those_who_listen_are_rung(tmp_path: Path) -> None:
    fds = bells(3)
    first, second = Bells(fds, 0), Bells(fds, 1)
    for each in (first, second):
        each.share(tmp_path / "listening")
    second.listen(ACCOUNTS)
    first.ring_all(QUEUE)
    assert not any(is_rung(fd) for fd in fds)
    first.ring_all(ACCOUNTS | QUEUE)
    assert [is_rung(fd) for fd in fds] == [False, True, False]
    second.close()
    first.ring_all(ACCOUNTS)
    assert not any(is_rung(fd) for fd in fds)


def test_without_a_shared_page_everyone_is_rung() -> None:
    fds = bells(2)
    Bells(fds, 0).ring_all(QUEUE)
    assert all(is_rung(fd) for fd in fds)


def test_rings_merge_and_never_block() -> None:
    alone = Bells.alone()
    os.eventfd_write(alone.fd, 2**64 - 2)
    alone.ring_all(ACCOUNTS)
    alone.clear()
    alone.clear()
    assert not is_rung(alone.fd)


def test_a_watcher_hears_of_its_account_only(store: Store) -> None:
    heard: list[str] = []
    mine, other = store.account("mine"), store.account("other")
    anything = gevent.event.Event()
    store.watch(mine.id, lambda: heard.append("mine"))
    for account in (mine, other):
        store.watch(account.id, anything.set)
    other.create_mailbox("x")
    assert anything.wait(5)
    assert heard == []
    anything.clear()
    spool = store.spool()
    spool.write(b"a: b\r\n\r\n")
    inbox = mine.mailbox("INBOX")
    assert inbox is not None
    mine.append(inbox.id, [NewMessage(spool, (0, 0))])
    assert anything.wait(5)
    assert heard == ["mine"]


def test_a_change_of_nothing_wakes_nobody(store: Store) -> None:
    account = store.account("a")
    inbox = account.mailbox("INBOX")
    assert inbox is not None
    rung = gevent.event.Event()
    store.watch(account.id, rung.set)
    account.store_flags(inbox.id, [1], FlagOp.ADD, Flag.SEEN)
    assert not rung.wait(0.1)
