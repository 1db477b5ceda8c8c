"""Any sequence of deliveries, flags, moves, removals and interruptions: the counts stay exact."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mox.junk.mailboxflags import MailboxFlags
from mox.junk.params import Params
from mox.store import Store, learning, open_store, relearning
from mox.store.account import Account
from mox.store.errors import ErrorKind, StoreError
from mox.store.model import Delivered, Flag, FlagOp, MailboxId, Target
from mox.store.wordcheck import check_words
from tests.store.learnt import expected, learnt

MAILBOXES = ("INBOX", "Junk", "Archive", "Lists")
KEYWORDS = ("$Junk", "$NotJunk", "todo")
TEXTS = ("casino money", "casino lunch", "lunch project", "project news", "")
MARKS = MailboxFlags(junk="^junk", neutral="^inbox")
PARAMS = (Params(), Params(twograms=True), Params(onegrams=False, twograms=True))


KILLED = StoreError(ErrorKind.INTERNAL, "the process ends here")


class Learning(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.store: Store = open_store(self.directory)
        self.params: Params | None = PARAMS[0]
        self.account.create_mailbox("Lists")

    @property
    def account(self) -> Account:
        return self.store.account("mjl")

    def teardown(self) -> None:
        self.params = self.params or PARAMS[0]
        relearning.align(self.account, self.params)
        while learning.learn_account(self.account, self.params):
            pass
        assert check_words(self.account).problems == []
        assert learning.backlog(self.store) == 0
        assert learnt(self.account) == expected(self.account, self.params)
        self.store.close()
        shutil.rmtree(self.directory)

    @invariant()
    def counts_are_the_sum_of_trained_messages(self) -> None:
        assert check_words(self.account).problems == []

    def pick(self, number: int) -> tuple[MailboxId, int] | None:
        places = [
            (mailbox.id, uid)
            for mailbox in self.account.mailboxes()
            for uid in self.account.uids(mailbox.id)
        ]
        return places[number % len(places)] if places else None

    def box(self, name: str) -> MailboxId:
        mailbox = self.account.mailbox(name)
        return self.account.create_mailbox(name)[-1].id if mailbox is None else mailbox.id

    @rule(
        text=st.sampled_from(TEXTS),
        name=st.sampled_from(MAILBOXES),
        words=st.sets(st.sampled_from(KEYWORDS)),
        marks=st.sampled_from((None, MARKS)),
    )
    def deliver(self, text: str, name: str, words: set[str], marks: MailboxFlags | None) -> None:
        with self.store.spool() as spool:
            spool.write(f"Subject: {text}\r\n\r\n{text}\r\n".encode())
            keywords = tuple(sorted(words))
            target = Target(self.account, name, b"", (1, 0), keywords=keywords, marks=marks)
            (result,) = self.store.deliver([target], spool)
        assert isinstance(result, Delivered)

    @rule(
        number=st.integers(0, 1000),
        op=st.sampled_from(FlagOp),
        words=st.sets(st.sampled_from(KEYWORDS)),
    )
    def flag(self, number: int, op: FlagOp, words: set[str]) -> None:
        place = self.pick(number)
        if place is not None:
            self.account.store_flags(place[0], [place[1]], op, Flag.NONE, tuple(sorted(words)))

    @rule(
        number=st.integers(0, 1000),
        name=st.sampled_from(MAILBOXES),
        move=st.booleans(),
        marks=st.sampled_from((None, MARKS)),
    )
    def transfer(self, number: int, name: str, move: bool, marks: MailboxFlags | None) -> None:
        place = self.pick(number)
        if place is None:
            return
        if move:
            self.account.move(place[0], [place[1]], self.box(name), marks)
        else:
            self.account.copy(place[0], [place[1]], self.box(name), marks=marks)

    @rule(number=st.integers(0, 1000))
    def expunge(self, number: int) -> None:
        place = self.pick(number)
        if place is not None:
            self.account.store_flags(place[0], [place[1]], FlagOp.ADD, Flag.DELETED)
            self.account.expunge(place[0], [place[1]])

    @rule(number=st.integers(0, 1000))
    def unlink(self, number: int) -> None:
        """Another program removes the file."""
        place = self.pick(number)
        if place is not None:
            (path,) = self.account.paths(place[0], [place[1]])
            os.unlink(f"{self.account.directory(place[0])}/{path}")
            self.account.mend(place[0])

    @rule()
    def delete_mailbox(self) -> None:
        mailbox = self.account.mailbox("Lists")
        if mailbox is not None:
            self.account.delete_mailbox(mailbox.id)

    @rule()
    def learn(self) -> None:
        learning.learn(self.store, lambda _: self.params)

    @rule(point=st.sampled_from(("_add_counts", "_read_tokens", "_plan", "_batches")))
    def learn_and_be_killed(self, point: str) -> None:
        """The work is cut short; a new process goes on."""
        with mock.patch.object(learning, point, side_effect=KILLED), suppress(StoreError):
            learning.learn_account(self.account, self.params)
        self.restart()

    def restart(self) -> None:
        self.store.close()
        self.store = open_store(self.directory)

    @rule(number=st.integers(0, len(PARAMS)))
    def configure(self, number: int) -> None:
        self.params = PARAMS[number] if number < len(PARAMS) else None
        learning.align_all(self.store, lambda _: self.params)

    @rule(point=st.sampled_from(("_forget_some", "_put_all", "_set")))
    def retrain_and_be_killed(self, point: str) -> None:
        with mock.patch.object(relearning, point, side_effect=KILLED), suppress(StoreError):
            learning.retrain(self.account, self.params)
        self.restart()


Learning.TestCase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
TestLearning = Learning.TestCase
