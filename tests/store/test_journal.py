"""Contents in the journal: whole, in order, forgotten up to a number, never taken for others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mox.store import Store, journal, open_store
from mox.store.account import Account
from mox.store.committer import WriteTxn
from mox.store.durable import FileWrite
from mox.store.model import MailboxId, NewMessage
from mox.store.records import KEY_AMU
from mox.store.spool import Spool

MakeSpool = Callable[..., Spool]
# Around the ends of pieces.
_SIZES = st.one_of(
    st.integers(0, 10),
    st.integers(journal._PIECE * 2 - 20, journal._PIECE * 2 + 2),
    st.integers(0, journal.LARGEST),
)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = open_store(tmp_path_factory.mktemp("journal"))
    yield opened
    opened.close()


def keep(messages: Sequence[tuple[int, bytes]], write: WriteTxn) -> None:
    for uid, content in messages:
        half = len(content) // 2
        file = FileWrite("", "", [content[:half], content[half:]], in_journal=True)
        journal.keep(write, 1, 2, uid, file)


def kept(store: Store) -> list[tuple[int, bytes]]:
    with store.dbs.env.begin() as txn:
        found = list(journal.contents(txn, store.dbs))
        keys = list(journal.messages(txn, store.dbs))
    assert [key for key, _ in found] == keys
    return [(KEY_AMU.unpack(key)[2], content) for key, content in found]


def last(store: Store) -> int:
    with store.dbs.env.begin() as txn:
        return journal.last(txn, store.dbs) or 0


def forget(store: Store, last_seq: int) -> None:
    while store.write(partial(journal.forget, last_seq, 3)):
        pass


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.lists(_SIZES, max_size=4), min_size=1, max_size=5),
    st.data(),
)
def test_what_is_kept_is_there_until_it_is_forgotten(
    alone: Store, sizes: list[list[int]], data: st.DataObject
) -> None:
    forget(alone, last(alone))
    expected: list[tuple[int, bytes]] = []
    ends: list[tuple[int, int]] = [(0, 0)]  # the last number, and how many messages by then
    for transaction in sizes:
        new = [
            (len(expected) + i, bytes([65 + i]) * size + b"end")
            for i, size in enumerate(transaction)
        ]
        alone.write(partial(keep, new))
        expected += new
        ends.append((last(alone), len(expected)))
    assert kept(alone) == expected
    seq, count = data.draw(st.sampled_from(ends))
    forget(alone, seq)
    assert kept(alone) == expected[count:]


def test_numbers_are_not_given_twice(store: Store) -> None:
    """Whoever forgets what was there a second ago must not mean what came since."""
    store.write(partial(keep, [(1, b"one")]))
    first = last(store)
    forget(store, first)
    assert last(store) == 0
    store.write(partial(keep, [(2, b"two")]))
    forget(store, first)
    assert kept(store) == [(2, b"two")]


def test_a_transaction_with_very_many_pieces(store: Store) -> None:
    """More than there are numbers between two transactions."""
    many = [(uid, b"x") for uid in range(1 << journal._BITS)]
    store.write(partial(keep, many))
    store.write(partial(keep, [(0, b"next")]))
    found = kept(store)
    assert len(found) == len(many) + 1
    assert found[-1] == (0, b"next")


def test_only_what_is_in_place_without_sync_is_kept(store: Store) -> None:
    def change(write: WriteTxn) -> None:
        journal.keep(write, 1, 2, 3, FileWrite("", "", [b"synced"], for_journal=True))
        journal.keep(write, 1, 2, 4, FileWrite("", "", None, in_journal=True))

    store.write(change)
    assert kept(store) == []


def test_there_is_room_until_it_is_full(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MOST_PIECES", 2)

    def keep_one(write: WriteTxn) -> bool:
        keep([(1, b"x")], write)
        return journal.has_room(write.txn, write.dbs)

    assert [store.write(keep_one) for _ in range(3)] == [True, False, False]


def test_messages_come_with_their_contents(
    account: Account, inbox: MailboxId, spool: MakeSpool
) -> None:
    first = account.append(inbox, [NewMessage(spool(), (1_700_000_000, 0))])
    second = account.append(inbox, [NewMessage(spool(b"S: x\r\n\r\n" * 2), (1_700_000_000, 0))])
    assert kept(account.store) == [
        (first.uids[0], b"Subject: hello\n\nbody\n"),
        (second.uids[0], b"S: x\n\nS: x\n\n"),
    ]


def test_messages_before_the_oldest_are_durable(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def durable_before(now: int) -> int | None:
        with store.dbs.env.begin() as txn:
            return journal.durable_before(txn, store.dbs, now)

    assert durable_before(1000) is None
    monkeypatch.setattr(time, "time", lambda: 1000.9)
    store.write(partial(keep, [(1, b"one")]))
    monkeypatch.setattr(time, "time", lambda: 2000.0)
    store.write(partial(keep, [(2, b"two")]))
    assert durable_before(2000) == 1000 - journal._SLACK_S
    assert durable_before(1000) == 1000 - journal._SLACK_S
    assert durable_before(999) == 0, "the clock was set back: nobody knows"


def test_a_large_message_is_waited_for_instead(
    account: Account, inbox: MailboxId, spool: MakeSpool
) -> None:
    large = b"Subject: large\r\n\r\n" + b"0123456789\r\n" * (journal.LARGEST // 11 + 1)
    account.append(inbox, [NewMessage(spool(large), (1_700_000_000, 0))])
    assert kept(account.store) == []


def test_of_a_message_that_is_refused_nothing_is_kept(
    account: Account, inbox: MailboxId, spool: MakeSpool, tmp_path: Path
) -> None:
    with pytest.raises(Exception, match="maximum total size"):
        account.append(inbox, [NewMessage(spool(), (1_700_000_000, 0))], quota=5)
    assert kept(account.store) == []
    assert list(tmp_path.glob("accounts/mjl/Maildir/[cn]*/*")) == []


def test_when_the_journal_is_full_files_are_waited_for(
    account: Account, inbox: MailboxId, spool: MakeSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "MOST_PIECES", 1)
    for _ in range(3):
        account.append(inbox, [NewMessage(spool(), (1_700_000_000, 0))])
    assert len(kept(account.store)) == 1
    forget(account.store, last(account.store))
    account.append(inbox, [NewMessage(spool(), (1_700_000_000, 0))])  # finds that there is room
    account.append(inbox, [NewMessage(spool(), (1_700_000_000, 0))])
    assert len(kept(account.store)) == 1
