"""Messages of one account: add, read, flags, copy, move, expunge, counters."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import gevent
import gevent.event
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mox.store import Store
from mox.store.errors import ErrorKind, MessageGone, StoreError
from mox.store.model import (
    FLAG_MASK,
    M_EMAIL_ID,
    M_FLAGS,
    M_KEYWORDS,
    M_SIZE,
    M_UID,
    ChangeKind,
    Delivered,
    Flag,
    FlagOp,
    NewMessage,
    Target,
)
from mox.store.spool import MEMORY_LIMIT, Spool

MakeSpool = Callable[..., Spool]
NOW = (1_700_000_000, 60)


def wire(data: bytes) -> bytes:
    return data.replace(b"\n", b"\r\n")


def deliver(store: Store, spool: Spool, account: str = "mjl", mailbox: str = "INBOX") -> Delivered:
    target = Target(store.account(account), mailbox, b"Return-Path: <>\r\n", NOW)
    (result,) = store.deliver([target], spool)
    assert isinstance(result, Delivered)
    return result


def test_a_delivery_is_readable_with_its_prefix(store: Store, spool: MakeSpool) -> None:
    done = deliver(store, spool(b"Subject: x\r\n\r\n.\r\n"))
    account = store.account("mjl")
    assert done.uid == 1
    stored = account.read(done.mailbox_id, 1)
    assert wire(stored.data) == b"Return-Path: <>\r\nSubject: x\r\n\r\n.\r\n"
    assert stored.size == len(wire(stored.data))
    (path,) = (account.base / "Maildir" / "new").iterdir()
    assert path.read_bytes() == stored.data
    assert f",S={len(stored.data)},W={stored.size}" in path.name
    assert account.message(done.mailbox_id, 1)[3] == NOW[0]  # type: ignore[index]


def test_a_missing_mailbox_is_created_and_subscribed(store: Store, spool: MakeSpool) -> None:
    deliver(store, spool(), mailbox="Lists/mox")
    account = store.account("mjl")
    assert account.mailbox("Lists/mox").messages == 1  # type: ignore[union-attr]
    assert "Lists" in account.subscriptions()


def test_first_deliveries_in_parallel_to_a_new_account_all_succeed(
    store: Store, spool: MakeSpool
) -> None:
    jobs = [gevent.spawn(deliver, store, spool(), "new", "A/B") for _ in range(32)]
    gevent.joinall(jobs, raise_error=True)
    account = store.account("new")
    mailbox = account.mailbox("A/B")
    assert mailbox is not None
    assert list(account.uids(mailbox.id)) == list(range(1, 33))


def test_one_batch_serves_many_recipients(store: Store, spool: MakeSpool) -> None:
    targets = [
        Target(store.account(name), "INBOX", b"Delivered-To: %s\r\n" % name.encode(), NOW, quota=q)
        for name, q in (("a", 0), ("b", 10), ("c", 0))
    ]
    results = store.deliver(targets, spool())
    assert isinstance(results[1], StoreError)
    assert results[1].kind is ErrorKind.OVER_QUOTA
    for i in (0, 2):
        inbox = targets[i].account.mailbox("INBOX")
        assert inbox is not None
        assert inbox.messages == 1
    leftovers = list((store.data_dir / "accounts/b/Maildir/new").iterdir())
    assert leftovers == []


HEADER = st.just(b"Subject: t\r\n\r\n")
BODIES = st.lists(
    st.sampled_from([b".", b"..", b"\r", b"\r\r", b"\x00", b"\xff\xfe", b"\r\n", b"x" * 1200])
    | st.binary(max_size=40).map(lambda b: b.replace(b"\n", b"\r\n")),
    max_size=30,
).map(b"".join)


@given(body=BODIES, cut=st.integers(0, 2000), large=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_any_octets_come_back_identical(store: Store, body: bytes, cut: int, large: bool) -> None:
    content = b"Subject: t\r\n\r\n" + body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if large:
        content += b"0123456789\r\n" * (MEMORY_LIMIT // 8)
    with store.spool() as spool:
        spool.write(content[:cut])
        spool.write(content[cut:])
        done = deliver(store, spool)
    stored = store.account("mjl").read(done.mailbox_id, done.uid)
    assert wire(stored.data) == b"Return-Path: <>\r\n" + content
    assert stored.size == len(content) + 17


def append(store: Store, spool: MakeSpool, count: int = 1, **kwargs: object) -> tuple[int, ...]:
    account = store.account("mjl")
    new = [NewMessage(spool(b"Subject: %d\r\n\r\n" % i), NOW, **kwargs) for i in range(count)]  # type: ignore[arg-type]
    return account.append(account.mailbox("INBOX").id, new).uids  # type: ignore[union-attr]


def test_append_keeps_flags_keywords_and_order(store: Store, spool: MakeSpool) -> None:
    uids = append(store, spool, 3, flags=Flag.SEEN | Flag.DRAFT, keywords=("todo", "$Junk"))
    account = store.account("mjl")
    inbox = account.mailbox("INBOX")
    assert inbox is not None
    assert uids == (1, 2, 3)
    assert inbox.keywords == ("todo", "$Junk")
    assert inbox.unseen == 0
    for message in account.scan(inbox.id):
        assert message[M_FLAGS] & FLAG_MASK == Flag.SEEN | Flag.DRAFT
        assert message[M_KEYWORDS] == 3


def test_keywords_compare_without_case_and_keep_their_first_spelling(
    store: Store, spool: MakeSpool
) -> None:
    append(store, spool)
    account = store.account("mjl")
    inbox = account.mailbox("INBOX").id  # type: ignore[union-attr]
    account.store_flags(inbox, [1], FlagOp.ADD, Flag.NONE, ["Todo"])
    result = account.store_flags(inbox, [1], FlagOp.REMOVE, Flag.NONE, ["tODO", "unknown"])
    assert result.keywords == ("Todo",)
    assert account.message(inbox, 1)[M_KEYWORDS] == 0  # type: ignore[index]


def test_a_65th_keyword_is_refused(store: Store, spool: MakeSpool) -> None:
    append(store, spool)
    account = store.account("mjl")
    inbox = account.mailbox("INBOX").id  # type: ignore[union-attr]
    words = [f"k{i}" for i in range(64)]
    account.store_flags(inbox, [1], FlagOp.ADD, Flag.NONE, words)
    with pytest.raises(StoreError) as caught:
        account.store_flags(inbox, [1], FlagOp.ADD, Flag.NONE, ["one-more"])
    assert caught.value.kind is ErrorKind.LIMIT
    assert account.message(inbox, 1)[M_KEYWORDS] == (1 << 64) - 1  # type: ignore[index]


def test_store_that_changes_nothing_takes_no_modseq(store: Store, spool: MakeSpool) -> None:
    append(store, spool, flags=Flag.SEEN)
    account = store.account("mjl")
    inbox = account.mailbox("INBOX").id  # type: ignore[union-attr]
    before = account.modseq()
    result = account.store_flags(inbox, [1, 9], FlagOp.ADD, Flag.SEEN)
    assert result.modseq == 0
    assert [c[0] for c in result.changed] == [1]
    assert account.modseq() == before


def test_unchangedsince_keeps_newer_messages_back(store: Store, spool: MakeSpool) -> None:
    append(store, spool, 2)
    account = store.account("mjl")
    inbox = account.mailbox("INBOX").id  # type: ignore[union-attr]
    start = account.modseq()
    account.store_flags(inbox, [1], FlagOp.ADD, Flag.FLAGGED)
    result = account.store_flags(inbox, [1, 2], FlagOp.ADD, Flag.SEEN, unchanged_since=int(start))
    assert result.modified == [1]
    assert [c[0] for c in result.changed] == [2]


@pytest.mark.parametrize("count", [3, 200])
def test_copy_and_move_keep_flags_date_and_identity(
    store: Store, spool: MakeSpool, count: int
) -> None:
    append(store, spool, count, flags=Flag.FLAGGED, keywords=("k",))
    account = store.account("mjl")
    inbox, archive = account.mailbox("INBOX"), account.mailbox("Archive")
    assert inbox is not None and archive is not None
    some = list(range(1, count + 1))
    copied = account.copy(inbox.id, [*some, 9999], archive.id)
    assert copied.source_uids == tuple(some) == copied.dest_uids
    moved = account.move(inbox.id, some[1:], archive.id)
    assert moved.dest_uids == tuple(range(count + 1, 2 * count))
    assert list(account.uids(inbox.id)) == [1]
    first, last = account.message(inbox.id, 1), account.message(archive.id, 1)
    assert first is not None and last is not None
    assert first[5] == last[5] and first[3] == last[3]
    assert last[M_KEYWORDS] == 1 and last[M_FLAGS] == Flag.FLAGGED
    # A session that has not heard of the move can still read the message.
    assert account.read(inbox.id, 2).data == account.read(archive.id, moved.dest_uids[0]).data
    assert account.usage().messages == 2 * count


def test_expunge_takes_only_deleted_ones_and_keeps_them_readable(
    store: Store, spool: MakeSpool
) -> None:
    append(store, spool, 4)
    account = store.account("mjl")
    inbox = account.mailbox("INBOX").id  # type: ignore[union-attr]
    account.store_flags(inbox, [2, 3], FlagOp.ADD, Flag.DELETED)
    assert account.expunge(inbox, [1, 3, 4]).uids == (3,)
    assert account.read(inbox, 3).data.startswith(b"Subject: 2")
    assert account.expunge(inbox).uids == (2,)
    assert account.vanished(inbox, 0) == [(2, 3)]
    assert list(account.uids(inbox)) == [1, 4]
    with pytest.raises(MessageGone):
        account.read(inbox, 77)
    store.finish_background()
    assert len(os.listdir(account.base / "Maildir/cur")) == 2
    assert append(store, spool) == (5,), "uids are not used again"


def test_counters_agree_with_the_messages(store: Store, spool: MakeSpool) -> None:
    append(store, spool, 5)
    account = store.account("mjl")
    inbox = account.mailbox("INBOX")
    assert inbox is not None
    account.store_flags(inbox.id, [1, 2], FlagOp.ADD, Flag.SEEN | Flag.DELETED)
    account.store_flags(inbox.id, [2], FlagOp.REPLACE, Flag.ANSWERED)
    inbox = account.mailbox("INBOX")
    assert inbox is not None
    messages = list(account.scan(inbox.id))
    assert inbox.messages == 5 == account.usage().messages
    assert inbox.unseen == sum(not m[M_FLAGS] & Flag.SEEN for m in messages) == 4
    assert inbox.deleted == 1
    assert inbox.deleted_size == messages[0][M_SIZE]
    assert inbox.size == sum(m[M_SIZE] for m in messages) == account.usage().octets


def test_ranges_of_a_scan(store: Store, spool: MakeSpool) -> None:
    append(store, spool, 10)
    account = store.account("mjl")
    inbox = account.mailbox("INBOX").id  # type: ignore[union-attr]
    assert [m[M_UID] for m in account.scan(inbox, 3, 5)] == [3, 4, 5]
    assert [m[M_UID] for m in account.scan(inbox, 9)] == [9, 10]
    assert [m[M_UID] for m in account.scan(inbox, 11)] == []
    assert list(account.uids(account.mailbox("Sent").id)) == []  # type: ignore[union-attr]
    found = account.overviews([account.message(inbox, 2)[M_EMAIL_ID], 99])  # type: ignore[index]
    assert found[0] is not None
    assert found[1] is None


def test_recent_is_claimed_once(store: Store, spool: MakeSpool) -> None:
    append(store, spool, 2)
    account = store.account("mjl")
    inbox = account.mailbox("INBOX").id  # type: ignore[union-attr]
    assert account.claim_recent(inbox) == 1
    assert account.claim_recent(inbox) == 3
    append(store, spool)
    assert account.claim_recent(inbox) == 3


def test_the_change_log_tells_everything_in_order(store: Store, spool: MakeSpool) -> None:
    account = store.account("mjl")
    start = account.modseq()
    append(store, spool, 2)
    inbox = account.mailbox("INBOX").id  # type: ignore[union-attr]
    account.store_flags(inbox, [2], FlagOp.ADD, Flag.DELETED, ["k"])
    account.expunge(inbox)
    kinds = [(c.kind, c.uids) for c in account.changes(start)]
    assert kinds == [
        (ChangeKind.ADDED, ((1, 2),)),
        (ChangeKind.KEYWORDS, ()),
        (ChangeKind.FLAGS, ((2, 2),)),
        (ChangeKind.EXPUNGED, ((2, 2),)),
    ]
    assert account.changes(account.modseq()) == []


def test_watchers_hear_of_commits(store: Store, spool: MakeSpool) -> None:
    account = store.account("mjl")
    rung = gevent.event.Event()
    watch = store.watch(account.id, rung.set)
    append(store, spool)
    assert rung.wait(5)
    watch.cancel()
    watch.cancel()


def test_an_expunged_message_is_gone_after_its_time(store: Store, spool: MakeSpool) -> None:
    from mox.store import housekeeping

    append(store, spool, flags=Flag.DELETED)
    account = store.account("mjl")
    inbox = account.mailbox("INBOX").id  # type: ignore[union-attr]
    account.expunge(inbox)
    store.finish_background()
    now = time.time()
    assert housekeeping.clear_expunged(store, now) == 0
    assert housekeeping.clear_expunged(store, now + housekeeping.KEEP_EXPUNGED_S + 60) == 1
    assert os.listdir(account.base / "expunged") == []
    with pytest.raises(MessageGone):
        account.read(inbox, 1)
