"""Bells and notifications between processes (here: between stores' halves)."""

from __future__ import annotations

import os
from pathlib import Path

import gevent
import gevent.event

from mox.store import Store
from mox.store.bells import ACCOUNTS, QUEUE, Bells
from mox.store.model import Flag, FlagOp, NewMessage
from mox.store.notify import QUEUE as QUEUE_ID
from mox.store.notify import Notifier, Touched


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
    first.ring_others(QUEUE)
    assert not any(is_rung(fd) for fd in fds)
    first.ring_others(ACCOUNTS | QUEUE)
    assert [is_rung(fd) for fd in fds] == [False, True, False]
    second.close()
    first.ring_others(ACCOUNTS)
    assert not any(is_rung(fd) for fd in fds)


def test_without_a_shared_page_all_others_are_rung() -> None:
    fds = bells(3)
    Bells(fds, 0).ring_others(QUEUE)
    assert [is_rung(fd) for fd in fds] == [False, True, True]


def test_rings_merge_and_never_block() -> None:
    fds = bells(2)
    rung, ringing = Bells(fds, 0), Bells(fds, 1)
    os.eventfd_write(rung.fd, 2**64 - 2)
    ringing.ring_others(ACCOUNTS)
    rung.clear()
    rung.clear()
    assert not is_rung(rung.fd)


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


def test_those_who_wait_for_a_commit_come_before_those_who_watch(store: Store) -> None:
    account = store.account("a")
    heard: list[str] = []

    def write() -> None:
        store.write(lambda write: write.touched.add(account.id))
        heard.append("writer")

    store.watch(account.id, lambda: heard.append("watcher"))
    gevent.joinall([gevent.spawn(write) for _ in range(2)], timeout=5)
    gevent.sleep(0)
    assert heard == ["writer", "writer", "watcher"]


def test_commits_of_this_process_and_of_others_are_told_once_each(store: Store) -> None:
    """A second notifier stands for another process: its bell rings, and it reads the database."""
    account = store.account("a")
    here: list[int] = []
    there: list[int] = []
    rung = gevent.event.Event()
    fds = bells(1)
    other = Notifier(store.dbs, Bells(fds, 0))
    store.watch(account.id, lambda: here.append(1))
    other.add(account.id, lambda: there.append(1))
    other.add(account.id, rung.set)
    for name in ("x", "y"):
        account.create_mailbox(name)
        gevent.sleep(0)
    assert (here, there) == ([1, 1], [])
    store.notifier.look()
    os.eventfd_write(fds[0], 1)
    assert rung.wait(5)
    assert (here, there) == ([1, 1], [1])
    other.close()


def test_a_commit_after_one_of_another_process_is_told_with_it(store: Store) -> None:
    mine, other = store.account("mine"), store.account("other")
    heard: list[str] = []
    notifier = Notifier(store.dbs, Bells(bells(1), 0))
    notifier.add(mine.id, lambda: heard.append("mine"))
    notifier.add(other.id, lambda: heard.append("other"))
    other.create_mailbox("x")
    mine.create_mailbox("x")
    with store.dbs.env.begin() as txn, txn.cursor(db=store.dbs.touched) as cursor:
        assert cursor.last()
        number = int.from_bytes(cursor.key(), "big")
    notifier.committed(Touched({mine.id}, number))
    assert sorted(heard) == ["mine", "other"]
    # What has been read already is not told again.
    notifier.committed(Touched({mine.id}, number))
    assert sorted(heard) == ["mine", "other"]
    notifier.close()


def test_only_topics_that_are_watched_are_listened_for(store: Store, tmp_path: Path) -> None:
    own = Bells(bells(2), 0)
    own.share(tmp_path / "listening")
    notifier = Notifier(store.dbs, own)

    def listening() -> int:
        return (tmp_path / "listening").read_bytes()[0]

    watches = [notifier.add(each, lambda: None) for each in (QUEUE_ID, 1, 2)]
    assert listening() == ACCOUNTS | QUEUE
    for watch, left in zip(watches, (ACCOUNTS, ACCOUNTS, 0), strict=True):
        watch.cancel()
        assert listening() == left
    notifier.close()
