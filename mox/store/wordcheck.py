"""Proof that the content filter's counts are what its trained messages add up to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mox.junk.classifier import Counts
from mox.junk.mailboxflags import Mark
from mox.store import records, words
from mox.store.model import M_KEYWORDS
from mox.store.reading import lookup, range_items
from mox.store.records import KEY_A, KEY_AMU
from mox.store.words import COUNTS, trained_as, unpack_state, unpack_trained

if TYPE_CHECKING:
    import lmdb

    from mox.store.account import Account
    from mox.store.env import Databases

_MAX_PROBLEMS = 20


@dataclass(slots=True)
class WordReport:
    """What a check found: `problems` is empty when all is right."""

    ham: int = 0
    spam: int = 0
    words: int = 0
    backlog: int = 0
    token_octets: int = 0  # of `trained`, compressed
    problems: list[str] = field(default_factory=list)

    def complain(self, text: str) -> None:
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(text)


def check_words(account: Account) -> WordReport:
    """Add up all trained messages of an account and compare, in one read transaction.

    Also: each message is trained as its flags ask for, or in the backlog.
    """
    return account.store.pool.apply(_check, (account.store.dbs, account.id))


def _check(dbs: Databases, account_id: int) -> WordReport:
    report = WordReport()
    key = KEY_A.pack(account_id)
    with dbs.env.begin() as txn:
        due = {bytes(each) for each, _ in range_items(txn, dbs.training, key)}
        report.backlog = len(due)
        if not unpack_state(lookup(txn, dbs.junk_state, key)).fingerprint:
            return report  # no filter, or about to forget everything: nothing is promised
        sums = _add_up(txn, dbs, key, report)
        _compare(txn, dbs, key, sums, report)
        _check_wanted(txn, dbs, key, due, report)
    return report


def _add_up(
    txn: lmdb.Transaction, dbs: Databases, key: bytes, report: WordReport
) -> dict[str, list[int]]:
    sums: dict[str, list[int]] = {}
    for _, value in range_items(txn, dbs.trained, key):
        trained = unpack_trained(value)
        report.token_octets += len(value)
        side = 0 if trained.mark is Mark.HAM else 1
        report.ham += trained.mark is Mark.HAM
        report.spam += trained.mark is Mark.JUNK
        for token in trained.tokens:
            sums.setdefault(token, [0, 0])[side] += 1
    return sums


def _compare(
    txn: lmdb.Transaction,
    dbs: Databases,
    key: bytes,
    sums: dict[str, list[int]],
    report: WordReport,
) -> None:
    state = unpack_state(lookup(txn, dbs.junk_state, key))
    if (state.ham, state.spam) != (report.ham, report.spam):
        report.complain(
            f"{report.ham} ham and {report.spam} junk messages are trained, "
            f"the totals say {state.ham} and {state.spam}"
        )
    for index_key, value in range_items(txn, dbs.word, key):
        report.words += 1
        token = index_key[4:].decode()
        counts = Counts(*COUNTS.unpack(value))
        expected = sums.pop(token, None)
        if expected is None or tuple(expected) != counts:
            report.complain(f"{token!r} counts {tuple(counts)}, its messages {expected}")
    for token, expected in sums.items():
        report.complain(f"{token!r} has no counts, its messages {expected}")


def _check_wanted(
    txn: lmdb.Transaction, dbs: Databases, key: bytes, due: set[bytes], report: WordReport
) -> None:
    trained = {bytes(k): trained_as(v)[0] for k, v in range_items(txn, dbs.trained, key)}
    for mailbox_key, value in range_items(txn, dbs.mailbox, key):
        keywords = records.decode_mailbox(value).keywords
        with txn.cursor(db=dbs.message) as cursor:
            if not cursor.set_key(mailbox_key):
                continue
            for record in cursor.iternext_dup(keys=False, values=True):
                message = records.unpack_message(bytes(record))
                mark = words.wanted(keywords, message[M_KEYWORDS])
                index_key = mailbox_key + KEY_A.pack(message[0])
                has = trained.pop(index_key, Mark.NONE)
                if has is not mark and index_key not in due:
                    report.complain(f"{_place(index_key)} is {has.value}, should be {mark.value}")
    for index_key, has in trained.items():
        if index_key not in due:
            report.complain(f"{_place(index_key)} is gone and still counts as {has.value}")


def _place(index_key: bytes) -> str:
    _, mailbox_id, uid = KEY_AMU.unpack(index_key)
    return f"message {uid} of mailbox {mailbox_id}"
