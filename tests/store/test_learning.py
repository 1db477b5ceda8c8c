from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest import mock

import gevent
import pytest

from mox.junk.classifier import Counts, Totals
from mox.junk.mailboxflags import MailboxFlags
from mox.junk.params import Params
from mox.store import Store, housekeeping, learning, messages, open_store
from mox.store.account import Account
from mox.store.account_txn import AccountTxn
from mox.store.committer import WriteTxn
from mox.store.errors import ErrorKind, StoreError
from mox.store.learning import align_all, backlog, learn, learn_account, retrain
from mox.store.model import Delivered, Flag, FlagOp, MailboxId, NewMessage, Target
from mox.store.records import KEY_A, KEY_AMU
from mox.store.wordcheck import check_words
from mox.store.words import COUNTS, read_counts
from tests.store.learnt import expected, learnt

NOW = (1_700_000_000, 0)
PARAMS = Params()
MARKS = MailboxFlags(junk="^(junk|spam)", neutral="^(inbox|rejects)")


@pytest.fixture
def account(store: Store) -> Account:
    return store.account("mjl")


def params_of(_: str) -> Params:
    return PARAMS


def message(text: str) -> bytes:
    return f"Subject: about {text}\r\n\r\nthe body of {text}\r\n".encode()


def deliver(
    account: Account,
    text: str,
    mailbox: str = "INBOX",
    keywords: Sequence[str] = (),
    marks: MailboxFlags | None = None,
) -> tuple[MailboxId, int]:
    with account.store.spool() as spool:
        spool.write(message(text))
        target = Target(account, mailbox, b"", NOW, keywords=tuple(keywords), marks=marks)
        (result,) = account.store.deliver([target], spool)
    assert isinstance(result, Delivered)
    return result.mailbox_id, int(result.uid)


def check(account: Account, params: Params = PARAMS) -> None:
    """All was learnt, and it is what the messages say."""
    report = check_words(account)
    assert report.problems == []
    assert report.backlog == 0
    assert learnt(account) == expected(account, params)


def mark(account: Account, place: tuple[MailboxId, int], op: FlagOp, *keywords: str) -> None:
    account.store_flags(place[0], [place[1]], op, Flag.NONE, keywords)


def test_nothing_is_due_without_junk_flags(account: Account) -> None:
    place = deliver(account, "lunch")
    account.store_flags(place[0], [place[1]], FlagOp.ADD, Flag.SEEN, ("todo",))
    assert backlog(account.store) == 0


@pytest.mark.parametrize("keyword", ["$Junk", "$junk", "Junk"])
def test_message_with_flag_is_learnt(account: Account, keyword: str) -> None:
    deliver(account, "casino", keywords=[keyword])
    assert backlog(account.store, account) == 1
    assert learn(account.store, params_of) == 1
    totals, counts = read_counts(account.store.dbs, account.id, ["casino", "body", "none"])
    assert totals == Totals(0, 1)
    assert counts == {"casino": Counts(0, 1), "body": Counts(0, 1)}
    check(account)


def test_flags_are_followed(account: Account) -> None:
    place = deliver(account, "lunch")
    for op, keywords, totals in (
        (FlagOp.ADD, ("$NotJunk",), Totals(1, 0)),
        (FlagOp.ADD, ("$Junk",), Totals(0, 0)),
        (FlagOp.REMOVE, ("$NotJunk",), Totals(0, 1)),
        (FlagOp.REPLACE, ("$NotJunk",), Totals(1, 0)),
        (FlagOp.REPLACE, (), Totals(0, 0)),
    ):
        mark(account, place, op, *keywords)
        learn(account.store, params_of)
        assert learnt(account)[0] == totals
        check(account)
    assert learnt(account) == (Totals(0, 0), {})


def test_flag_that_was_taken_back_costs_no_reading(account: Account) -> None:
    place = deliver(account, "lunch")
    mark(account, place, FlagOp.ADD, "$Junk")
    mark(account, place, FlagOp.REMOVE, "$Junk")
    with mock.patch.object(Account, "read", side_effect=AssertionError):
        assert learn(account.store, params_of) == 1
    check(account)


def test_other_mark_costs_no_reading(account: Account) -> None:
    place = deliver(account, "lunch", keywords=["$Junk"])
    learn(account.store, params_of)
    mark(account, place, FlagOp.REPLACE, "$NotJunk")
    with mock.patch.object(Account, "read", side_effect=AssertionError):
        learn(account.store, params_of)
    assert learnt(account)[0] == Totals(1, 0)
    check(account)


def test_copy_counts_once_more(account: Account) -> None:
    mailbox_id, uid = deliver(account, "casino", keywords=["$Junk"])
    archive = account.mailbox("Archive")
    assert archive is not None
    account.copy(mailbox_id, [uid], archive.id)
    learn(account.store, params_of)
    assert learnt(account)[0] == Totals(0, 2)
    check(account)


def test_move_takes_along_what_was_learnt(account: Account) -> None:
    mailbox_id, uid = deliver(account, "casino", keywords=["$Junk"])
    learn(account.store, params_of)
    archive = account.mailbox("Archive")
    assert archive is not None
    account.move(mailbox_id, [uid], archive.id)
    assert check_words(account).problems == []
    with mock.patch.object(Account, "read", side_effect=AssertionError):
        learn(account.store, params_of)
    assert learnt(account)[0] == Totals(0, 1)
    check(account)


def test_move_of_a_message_that_was_met_and_learnt_at_its_target_counts_it_once(
    account: Account,
) -> None:
    source, target = (deliver(account, "pills", name, ["$Junk"]) for name in ("INBOX", "Archive"))
    learn_account(account, PARAMS)

    def expunge(write: WriteTxn) -> None:
        txn = AccountTxn(write, account.id)
        mailbox = txn.mailbox(source[0])
        messages.expunge(txn, mailbox, messages.select(mailbox, [source[1]]), {source[1]: target})
        txn.save()

    account.store.write(expunge)
    assert check_words(account).problems == []
    learn_account(account, PARAMS)
    check(account)


@pytest.mark.parametrize(
    ("source", "target", "before", "after"),
    [
        ("INBOX", "Junk", Totals(0, 0), Totals(0, 1)),
        ("INBOX", "Archive", Totals(0, 0), Totals(1, 0)),
        ("Junk", "Archive", Totals(0, 1), Totals(1, 0)),
        ("Archive", "INBOX", Totals(1, 0), Totals(0, 0)),
        ("Junk", "INBOX", Totals(0, 1), Totals(0, 0)),
        ("Archive", "Trash", Totals(1, 0), Totals(1, 0)),
    ],
)
def test_moves_teach(
    account: Account, source: str, target: str, before: Totals, after: Totals
) -> None:
    mailbox_id, uid = deliver(account, "words", source, marks=MARKS)
    learn(account.store, params_of)
    assert learnt(account)[0] == before
    found = account.mailbox(target)
    assert found is not None
    account.move(mailbox_id, [uid], found.id, MARKS)
    learn(account.store, params_of)
    assert learnt(account)[0] == after
    check(account)


def test_append_and_copy_teach(account: Account) -> None:
    junk, archive = account.mailbox("Junk"), account.mailbox("Archive")
    assert junk is not None
    assert archive is not None
    with account.store.spool() as spool:
        spool.write(message("casino"))
        done = account.append(junk.id, [NewMessage(spool, NOW, keywords=("todo",))], marks=MARKS)
    account.copy(junk.id, done.uids, archive.id, marks=MARKS)
    learn(account.store, params_of)
    assert learnt(account)[0] == Totals(1, 1)
    (copied,) = account.scan(archive.id)
    mailbox = account.mailbox("Archive")
    assert mailbox is not None
    words = [word for i, word in enumerate(mailbox.keywords) if copied[2] >> i & 1]
    assert sorted(words) == ["$NotJunk", "todo"]
    check(account)


def test_mailbox_without_room_for_a_keyword_still_takes_mail(account: Account) -> None:
    inbox = account.mailbox("INBOX")
    assert inbox is not None
    place = deliver(account, "first")
    mark(account, place, FlagOp.ADD, *(f"word{i}" for i in range(64)))
    deliver(account, "second", marks=MailboxFlags(junk="inbox"))
    assert len(account.uids(inbox.id)) == 2
    assert backlog(account.store) == 0


def test_expunged_message_is_forgotten_although_its_file_is_gone(account: Account) -> None:
    mailbox_id, uid = deliver(account, "casino", keywords=["$Junk"])
    learn(account.store, params_of)
    account.store_flags(mailbox_id, [uid], FlagOp.ADD, Flag.DELETED)
    account.expunge(mailbox_id)
    account.store.finish_background()
    housekeeping.clear_expunged(account.store, NOW[0] * 2)
    assert check_words(account).problems == []
    learn(account.store, params_of)
    assert learnt(account) == (Totals(0, 0), {})
    check(account)


def test_file_removed_by_another_program_is_forgotten(account: Account) -> None:
    mailbox_id, uid = deliver(account, "casino", keywords=["$Junk"])
    learn(account.store, params_of)
    (path,) = account.paths(mailbox_id, [uid])
    os.unlink(f"{account.directory(mailbox_id)}/{path}")
    account.refresh(mailbox_id)
    learn(account.store, params_of)
    check(account)
    assert learnt(account)[0] == Totals(0, 0)


def test_file_that_vanishes_before_it_is_read(account: Account) -> None:
    mailbox_id, uid = deliver(account, "casino", keywords=["$Junk"])
    (path,) = account.paths(mailbox_id, [uid])
    os.unlink(f"{account.directory(mailbox_id)}/{path}")
    learn(account.store, params_of)
    learn(account.store, params_of)
    check(account)
    assert learnt(account)[0] == Totals(0, 0)


def test_deleted_mailbox_is_forgotten(account: Account) -> None:
    mailbox_id, _ = deliver(account, "casino", "Lists/bad", keywords=["$Junk"])
    deliver(account, "other", "Lists/bad", keywords=["$Junk"])
    learn_account(account, PARAMS)
    deliver(account, "not learnt yet", "Lists/bad", keywords=["$Junk"])
    account.delete_mailbox(mailbox_id)
    assert check_words(account).problems == []
    learn(account.store, params_of)
    check(account)
    assert learnt(account) == (Totals(0, 0), {})


def test_renamed_mailbox_stays_learnt(account: Account) -> None:
    mailbox_id, _ = deliver(account, "casino", "Lists/bad", keywords=["$Junk"])
    learn(account.store, params_of)
    account.rename_mailbox(mailbox_id, "Elsewhere")
    assert backlog(account.store) == 0
    check(account)


def test_accounts_do_not_touch_each_other(store: Store) -> None:
    one, two = store.account("one"), store.account("two")
    deliver(one, "casino", keywords=["$Junk"])
    deliver(two, "casino", keywords=["$NotJunk"])
    learn(store, params_of)
    assert read_counts(store.dbs, one.id, ["casino"])[1] == {"casino": Counts(0, 1)}
    assert read_counts(store.dbs, two.id, ["casino"])[1] == {"casino": Counts(1, 0)}
    retrain(one, None)
    check(two)


# ---- parameters


def test_account_without_filter_learns_nothing(account: Account) -> None:
    deliver(account, "casino", keywords=["$Junk"])
    learn(account.store, lambda _: None)
    assert backlog(account.store) == 0
    assert learnt(account) == (Totals(0, 0), {})
    align_all(account.store, params_of)
    learn(account.store, params_of)
    assert learnt(account)[0] == Totals(0, 1)
    check(account)


def test_filter_that_is_configured_no_more_is_forgotten(account: Account) -> None:
    deliver(account, "casino", keywords=["$Junk"])
    learn(account.store, params_of)
    align_all(account.store, lambda _: None)
    assert learnt(account) == (Totals(0, 0), {})
    report = check_words(account)
    assert (report.problems, report.token_octets) == ([], 0)


def test_other_parameters_are_learnt_message_by_message(account: Account) -> None:
    for i in range(3):
        deliver(account, f"casino number {i}", keywords=["$Junk"])
        deliver(account, f"lunch number {i}", keywords=["$NotJunk"])
    learn(account.store, params_of)
    pairs = Params(onegrams=False, twograms=True)
    align_all(account.store, lambda _: pairs)
    assert learnt(account)[0] == Totals(3, 3)
    assert backlog(account.store) == 6
    learn(account.store, lambda _: pairs)
    assert "the body" in learnt(account)[1]
    assert "casino" not in learnt(account)[1]
    check(account, pairs)


def test_weights_alone_need_no_learning(account: Account) -> None:
    deliver(account, "casino", keywords=["$Junk"])
    learn(account.store, params_of)
    align_all(account.store, lambda _: Params(top_words=3, max_power=0.1))
    assert backlog(account.store) == 0


def test_two_processes_with_different_parameters_do_not_mix(account: Account) -> None:
    deliver(account, "casino", keywords=["$Junk"])
    pairs = Params(onegrams=False, twograms=True)
    batch = learning._Batch(account, pairs)
    learn(account.store, params_of)
    assert account.store.write(batch.apply) == []
    check(account)


def test_retrain_mends_wrong_counts(account: Account) -> None:
    deliver(account, "casino", keywords=["$Junk"])
    deliver(account, "lunch", keywords=["$NotJunk"])
    learn(account.store, params_of)
    key = KEY_A.pack(account.id)
    account.store.write(lambda w: w.put(w.dbs.word, key + b"casino", COUNTS.pack(7, 0)))
    account.store.write(lambda w: w.put(w.dbs.word, key + b"ghost", COUNTS.pack(1, 1)))
    account.store.write(lambda w: w.delete(w.dbs.word, key + b"lunch"))
    assert len(check_words(account).problems) == 3
    assert retrain(account, PARAMS) == 2
    check(account)


def test_wrong_marks_are_found(account: Account) -> None:
    mailbox_id, uid = deliver(account, "casino", keywords=["$Junk"])
    key = KEY_AMU.pack(account.id, mailbox_id, uid)
    learn(account.store, params_of)
    account.store.write(lambda w: w.delete(w.dbs.trained, key))
    problems = check_words(account).problems
    assert any("should be junk" in problem for problem in problems)
    assert any("totals" in problem for problem in problems)


def test_forgetting_is_done_in_slices(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    from mox.store import relearning

    for i in range(7):
        deliver(account, f"casino {'abcdefg'[i] * 3}o", keywords=["$Junk"])
    learn(account.store, params_of)
    monkeypatch.setattr(relearning, "_AT_ONCE", 3)
    assert retrain(account, PARAMS) == 7
    check(account)


# ---- trouble


def test_failure_leaves_the_backlog_and_rests(account: Account) -> None:
    deliver(account, "casino", keywords=["$Junk"])
    error = StoreError(ErrorKind.INTERNAL, "cannot read message")
    resting: learning.Resting = {}
    with mock.patch.object(Account, "read", side_effect=error):
        learn(account.store, params_of, resting)
    assert backlog(account.store) == 1
    assert len(resting) == 1
    assert learn(account.store, params_of, resting) == 0
    assert learn(account.store, params_of) == 1
    check(account)


@pytest.mark.parametrize("error", [StoreError(ErrorKind.INTERNAL, "unreadable"), ValueError()])
def test_message_that_cannot_be_learnt_does_not_stop_the_others(
    account: Account, error: Exception
) -> None:
    places = [deliver(account, f"casino {'abc'[i] * 3}o", keywords=["$Junk"]) for i in range(3)]
    real = Account.read

    def read(self: Account, mailbox_id: MailboxId, uid: int) -> object:
        if uid == places[1][1]:
            raise error
        return real(self, mailbox_id, uid)

    resting: learning.Resting = {}
    with mock.patch.object(Account, "read", read):
        learn(account.store, params_of, resting)
    assert learnt(account)[0] == Totals(0, 2)
    assert check_words(account).problems == []
    assert [KEY_AMU.unpack(key)[2] for key in resting] == [places[1][1]]
    learn(account.store, params_of)
    check(account)


def test_full_disk_is_not_tried_message_by_message(account: Account) -> None:
    for i in range(3):
        deliver(account, f"casino {'abc'[i] * 3}o", keywords=["$Junk"])
    error = StoreError(ErrorKind.DISK_FULL, "no space left")
    resting: learning.Resting = {}
    with mock.patch.object(learning, "_add_counts", side_effect=error) as tried:
        learn(account.store, params_of, resting)
    assert len(resting) == 3
    # The committer runs what fails once more, by itself.
    assert tried.call_count == 2


def test_transaction_that_fails_changes_nothing(account: Account) -> None:
    deliver(account, "casino", keywords=["$Junk"])
    with mock.patch.object(learning, "_add_counts", side_effect=RuntimeError("cut short")):
        learn(account.store, params_of)
    assert check_words(account).problems == []
    assert backlog(account.store) == 1
    learn(account.store, params_of)
    check(account)


def test_flag_changed_while_the_message_is_read(account: Account) -> None:
    place = deliver(account, "casino", keywords=["$Junk"])
    real = Account.read

    def read(self: Account, mailbox_id: MailboxId, uid: int) -> object:
        mark(account, place, FlagOp.REPLACE, "$NotJunk")
        return real(self, mailbox_id, uid)

    with mock.patch.object(Account, "read", read):
        learn(account.store, params_of)
    assert check_words(account).problems == []
    learn(account.store, params_of)
    assert learnt(account)[0] == Totals(1, 0)
    check(account)


def test_several_learn_at_once(account: Account) -> None:
    for i in range(100):
        deliver(
            account, f"words {'abcde'[i % 5] * 3}o", keywords=["$Junk" if i % 3 else "$NotJunk"]
        )
    jobs = [gevent.spawn(learn, account.store, params_of) for _ in range(4)]
    gevent.joinall(jobs, raise_error=True)
    check(account)
    assert learnt(account)[0] == Totals(34, 66)


def test_first_deliveries_in_parallel_to_a_new_account(store: Store) -> None:
    def one(i: int) -> tuple[MailboxId, int]:
        return deliver(store.account("new"), f"first mail {i}", "Junk", marks=MARKS)

    jobs = [gevent.spawn(one, i) for i in range(32)]
    learning_job = gevent.spawn(learn, store, params_of)
    gevent.joinall([*jobs, learning_job], raise_error=True)
    account = store.account("new")
    assert account.usage().messages == 32
    learn(store, params_of)
    assert learnt(account)[0] == Totals(0, 32)
    check(account)


def test_backlog_survives_a_restart(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    deliver(store.account("mjl"), "casino", keywords=["$Junk"])
    store.close()
    store = open_store(tmp_path)
    learn(store, params_of)
    check(store.account("mjl"))
    store.close()


def test_large_message_is_learnt_by_its_beginning(
    account: Account, spool: Callable[..., object]
) -> None:
    deliver(account, "x" * 10 + " word" * 600_000, keywords=["$Junk"])
    learn(account.store, params_of)
    check(account)
