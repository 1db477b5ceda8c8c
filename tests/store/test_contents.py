"""What the index keeps of contents: summaries, threads, texts; making them anew; forgetting."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mox.message.searchable import searchable
from mox.store import Store, housekeeping
from mox.store import texts as texts_module
from mox.store.account import Account
from mox.store.many import delete_many
from mox.store.model import M_EMAIL_ID, M_THREAD_ID, Flag, FlagOp, MailboxId, MessageTuple, Target
from mox.store.reading import range_items
from mox.store.records import KEY_CONTENT, SUMMARY
from mox.store.reindex import reindex_account
from mox.store.spool import Spool
from mox.store.texts import MAX_OCTETS, Backlog, Unpacker, pack_text, read_searchable, texts

MakeSpool = Callable[..., Spool]
NOW = (1_700_000_000, 60)


def mail(number: int, *, references: str = "", subject: str = "plan", body: str = "text") -> bytes:
    fields = [f"Message-Id: <m{number}@x.example>", f"Subject: {subject}"]
    if references:
        fields.append("References: " + references)
    return "\r\n".join([*fields, "", body, ""]).encode()


def deliver(store: Store, spool: Spool, mailbox: str = "INBOX") -> tuple[Account, MailboxId, int]:
    account = store.account("mjl")
    (done,) = store.deliver([Target(account, mailbox, b"", NOW)], spool)
    assert not isinstance(done, Exception)
    return account, done.mailbox_id, done.uid


def record(account: Account, mailbox_id: MailboxId, uid: int) -> MessageTuple:
    message = account.message(mailbox_id, uid)
    assert message is not None
    return message


def no_pace() -> None:
    pass


def count(store: Store, name: str) -> int:
    with store.dbs.env.begin() as txn:
        entries: int = txn.stat(getattr(store.dbs, name))["entries"]
        return entries


def contents(store: Store, kind: int) -> list[bytes]:
    """Keys of what is kept of one kind, of all contents."""
    with store.dbs.env.begin() as txn:
        keys = [bytes(key) for key, _ in range_items(txn, store.dbs.content, b"")]
    return [key for key in keys if KEY_CONTENT.unpack(key)[2] == kind]


def forget_summaries(store: Store) -> None:
    keys = contents(store, SUMMARY)
    store.write(lambda write: delete_many(write, write.dbs.content, keys))


def index_all(store: Store) -> None:
    backlog = Backlog(store)
    for now in (0.0, 2.0):
        for _ in backlog.steps(now):
            pass


# ---- threads


def thread(store: Store, spool: MakeSpool, content: bytes) -> int:
    account, mailbox_id, uid = deliver(store, spool(content))
    return record(account, mailbox_id, uid)[M_THREAD_ID]


def test_a_reply_joins_its_original(store: Store, spool: MakeSpool) -> None:
    first = thread(store, spool, mail(1))
    assert thread(store, spool, mail(2, references="<m1@x.example>", subject="Re: plan")) == first
    assert thread(store, spool, mail(3)) != first


def test_an_original_that_comes_late_joins_its_replies(store: Store, spool: MakeSpool) -> None:
    reply = thread(store, spool, mail(2, references="<m1@x.example>"))
    assert thread(store, spool, mail(1)) == reply
    assert thread(store, spool, mail(3, references="<m1@x.example>")) == reply


def test_a_new_subject_begins_a_new_thread(store: Store, spool: MakeSpool) -> None:
    first = thread(store, spool, mail(1))
    assert thread(store, spool, mail(2, references="<m1@x.example>", subject="other")) != first


def test_the_nearest_reference_counts(store: Store, spool: MakeSpool) -> None:
    one, two = thread(store, spool, mail(1)), thread(store, spool, mail(2))
    both = mail(3, references="<m1@x.example> <m2@x.example>")
    assert thread(store, spool, both) == two != one


def test_a_copy_sent_and_received_is_one_thread(store: Store, spool: MakeSpool) -> None:
    assert thread(store, spool, mail(1)) == thread(store, spool, mail(1))


# ---- summaries


def test_copies_and_moves_keep_summary_and_ids(store: Store, spool: MakeSpool) -> None:
    account, inbox, uid = deliver(store, spool(mail(1, body="hello")))
    archive = account.mailbox("Archive")
    assert archive is not None
    account.copy(inbox, [uid], archive.id)
    account.move(inbox, [uid], archive.id)
    copies = [record(account, archive.id, n) for n in (1, 2)]
    assert copies[0][M_EMAIL_ID] == copies[1][M_EMAIL_ID]
    assert copies[0][M_THREAD_ID] == copies[1][M_THREAD_ID]
    found = account.summaries(archive.id, copies, no_pace)
    assert [each.preview for each in found] == ["hello", "hello"]
    assert len(contents(store, SUMMARY)) == 1


def test_a_missing_summary_is_made_from_the_file(store: Store, spool: MakeSpool) -> None:
    account, inbox, uid = deliver(store, spool(mail(1, body="hello")))
    forget_summaries(store)
    (found,) = account.summaries(inbox, [record(account, inbox, uid)], no_pace)
    assert found.preview == "hello"
    store.finish_background()
    assert len(contents(store, SUMMARY)) == 1


def test_a_message_that_is_gone_has_an_empty_summary(store: Store, spool: MakeSpool) -> None:
    account, inbox, uid = deliver(store, spool(mail(1)))
    message = record(account, inbox, uid)
    forget_summaries(store)
    for path in (account.base / "Maildir" / "new").iterdir():
        path.unlink()
    (found,) = account.summaries(inbox, [message], no_pace)
    assert found.subject == ""


def test_reindex_makes_summaries_and_texts_anew(store: Store, spool: MakeSpool) -> None:
    account, _, _ = deliver(store, spool(mail(1, body="hello")))
    index_all(store)
    forget_summaries(store)
    reindex_account(store, account)
    assert len(contents(store, SUMMARY)) == 1
    assert count(store, "text") == 0
    index_all(store)
    assert count(store, "text") == 1


# ---- texts


def test_the_text_index_holds_what_the_file_says(store: Store, spool: MakeSpool) -> None:
    account, inbox, _ = deliver(store, spool(mail(1, body="Grüße")))
    deliver(store, spool(mail(2)))
    assert texts(account, [1, 2]) == {}
    index_all(store)
    for uid in (1, 2):
        message = record(account, inbox, uid)
        (entry,) = texts(account, [message[M_EMAIL_ID]]).values()
        assert Unpacker().unpack(entry) == read_searchable(account, inbox, message)


def test_copies_share_a_text(store: Store, spool: MakeSpool) -> None:
    account, inbox, uid = deliver(store, spool(mail(1)))
    archive = account.mailbox("Archive")
    assert archive is not None
    account.copy(inbox, [uid], archive.id)
    index_all(store)
    assert count(store, "text") == 1


def test_new_messages_enter_the_text_index_when_the_account_is_quiet(
    store: Store, spool: MakeSpool
) -> None:
    deliver(store, spool(mail(1)))
    backlog = Backlog(store)
    assert list(backlog.steps(0.0)) == []
    deliver(store, spool(mail(2)))
    assert list(backlog.steps(2.0)) == []
    assert len(list(backlog.steps(4.0))) == 1
    assert count(store, "text") == 2
    deliver(store, spool(mail(3)))
    for now in range(6, 60, 10):
        assert list(backlog.steps(now)) == []
        deliver(store, spool(mail(now)))
    assert len(list(backlog.steps(70.0))) == 1


def test_trouble_with_one_account_does_not_keep_the_others_out(
    store: Store, spool: MakeSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, _, _ = deliver(store, spool(mail(1)))
    other = store.account("other")
    (done,) = store.deliver([Target(other, "INBOX", b"", NOW)], spool(mail(2)))
    assert not isinstance(done, Exception)
    readable = texts_module.mailfiles.read_regular

    def read(path: str) -> tuple[bytes, int] | None:
        if "/mjl/" in path:
            raise OSError("disk trouble")
        return readable(path)

    monkeypatch.setattr(texts_module.mailfiles, "read_regular", read)
    index_all(store)
    assert count(store, "text") == 1
    assert texts(account, [1]) == {}


def test_a_file_that_is_being_renamed_is_found(store: Store, spool: MakeSpool) -> None:
    account, _, _ = deliver(store, spool(mail(1)))
    (path,) = (account.base / "Maildir" / "new").iterdir()
    path.rename(account.base / "Maildir" / "cur" / (path.name + ":2,S"))
    index_all(store)
    assert count(store, "text") == 1


def test_texts_that_are_too_large_are_left_to_the_file() -> None:
    found = searchable(b"\n" + b"x" * (MAX_OCTETS + 1), wire=False)
    assert Unpacker().unpack(pack_text(found)) is None
    assert len(pack_text(found)) == 1


def test_damaged_texts_are_left_to_the_file() -> None:
    entry = pack_text(searchable(b"Subject: x\n\ntext\n", wire=False))
    assert Unpacker().unpack(entry[:-3]) is None
    assert Unpacker().unpack(b"?" + entry) is None


# ---- forgetting


def test_contents_of_messages_that_are_gone_are_forgotten(store: Store, spool: MakeSpool) -> None:
    account, inbox, _ = deliver(store, spool(mail(1)))
    deliver(store, spool(mail(2, references="<m0@x.example>")))
    archive = account.mailbox("Archive")
    assert archive is not None
    index_all(store)
    assert housekeeping.clear_contents(store, account) == 0
    account.copy(inbox, [2], archive.id)
    account.store_flags(inbox, [1, 2], FlagOp.ADD, Flag.DELETED)
    account.expunge(inbox)
    # The copy still has its first place, overview, summary and text, and its thread both ids.
    assert housekeeping.clear_contents(store, account) == 5
    kinds = ("content", "place", "text", "thread")
    assert [count(store, kind) for kind in kinds] == [3, 1, 1, 2]
    account.delete_mailbox(archive.id)
    assert housekeeping.clear_contents(store, account) == 6
    assert [count(store, kind) for kind in kinds] == [0, 0, 0, 0]
