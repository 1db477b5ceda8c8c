"""Messages are found by their number, wherever they are moved."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mox.store import Store, places
from mox.store.account import Account
from mox.store.model import M_EMAIL_ID, M_UID, Delivered, MailboxId, Target
from mox.store.records import KEY_AEMU
from mox.store.spool import Spool

MakeSpool = Callable[..., Spool]


def deliver(store: Store, spool: Spool, mailbox: str = "INBOX") -> tuple[MailboxId, int, int]:
    """(mailbox id, uid, email id) of a new message."""
    account = store.account("mjl")
    (result,) = store.deliver([Target(account, mailbox, b"", (1_700_000_000, 0))], spool)
    assert isinstance(result, Delivered)
    message = account.message(result.mailbox_id, result.uid)
    assert message is not None
    return result.mailbox_id, result.uid, message[M_EMAIL_ID]


def found(account: Account, email_id: int) -> tuple[int, int] | None:
    place = places.find(account, email_id)
    return None if place is None else (place.mailbox_id, place.message[M_UID])


def recorded(store: Store) -> set[tuple[int, int, int]]:
    """(email id, mailbox id, uid) of messages that did not get their email ids where they are."""
    with store.dbs.env.begin() as txn, txn.cursor(db=store.dbs.place) as cursor:
        return {KEY_AEMU.unpack(bytes(key))[1:] for key in cursor.iternext(values=False)}


def test_a_message_is_found_after_it_was_moved(store: Store, spool: MakeSpool) -> None:
    account = store.account("mjl")
    mailbox_id, uid, email_id = deliver(store, spool())
    assert found(account, email_id) == (mailbox_id, uid)
    archive = account.mailbox("Archive")
    assert archive is not None
    moved = account.move(mailbox_id, [uid], archive.id)
    assert found(account, email_id) == (archive.id, moved.dest_uids[0])
    back = account.move(archive.id, moved.dest_uids, mailbox_id)
    assert back.dest_uids[0] != uid
    assert found(account, email_id) == (mailbox_id, back.dest_uids[0])


def test_of_copies_the_one_that_is_longest_in_its_mailbox_counts(
    store: Store, spool: MakeSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = store.account("mjl")
    archive = account.mailbox("Archive")
    assert archive is not None
    monkeypatch.setattr("mox.store.messages.now", lambda: 1_700_000_000)
    mailbox_id, uid, email_id = deliver(store, spool())
    monkeypatch.setattr("mox.store.copying.now", lambda: 1_700_000_100)
    copied = account.copy(mailbox_id, [uid], archive.id)
    assert found(account, email_id) == (mailbox_id, uid)
    account.remove(mailbox_id, [uid])
    assert found(account, email_id) == (archive.id, copied.dest_uids[0])
    account.remove(archive.id, copied.dest_uids)
    assert found(account, email_id) is None


def test_the_messages_of_a_deleted_mailbox_are_not_found(store: Store, spool: MakeSpool) -> None:
    account = store.account("mjl")
    mailbox_id, _, email_id = deliver(store, spool(), "Old")
    account.delete_mailbox(mailbox_id)
    assert found(account, email_id) is None
    assert recorded(store) == set()


@pytest.mark.parametrize("email_id", [0, -1, 1, 1 << 62, 1 << 64, -(1 << 63)])
def test_a_number_that_no_message_has_is_not_found(store: Store, email_id: int) -> None:
    assert places.find(store.account("mjl"), email_id) is None


_STEPS = st.lists(
    st.tuples(st.sampled_from(["deliver", "move", "copy", "remove"]), st.integers(0, 5)),
    max_size=12,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_STEPS)
def test_places_agree_with_the_mailboxes_whatever_happens(
    store: Store, spool: MakeSpool, steps: list[tuple[str, int]]
) -> None:
    account = store.account("mjl")
    names = ("INBOX", "Archive")
    ids = [box.id for box in account.mailboxes() if box.name in names]
    for step, number in steps:
        source, target = ids[number % 2], ids[1 - number % 2]
        uids = list(account.uids(source))[: number // 2 + 1]
        if step == "deliver":
            deliver(store, spool(), names[number % 2])
        elif step == "move":
            account.move(source, uids, target)
        elif step == "copy":
            account.copy(source, uids, target)
        else:
            account.remove(source, uids)
    expected = {
        (message[M_EMAIL_ID], box.id, message[M_UID])
        for box in account.mailboxes()
        for message in account.scan(box.id)
    }
    places_found = {
        (email_id, place.mailbox_id, place.message[M_UID])
        for email_id in range(1, account.last_email_id() + 1)
        for place in places.find_all(account, email_id)
    }
    assert places_found == expected
    assert recorded(store) <= expected
