"""The store against a simple model: random operations, then everything has to agree."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mox.store import open_store
from mox.store.mirror import mirror_flags
from mox.store.model import (
    FLAG_MASK,
    M_FLAGS,
    M_KEYWORDS,
    M_MODSEQ,
    ChangeKind,
    Flag,
    FlagOp,
    NewMessage,
)

BOXES = ("INBOX", "Archive", "Trash")
FLAGS = st.sampled_from([Flag.NONE, Flag.SEEN, Flag.DELETED, Flag.SEEN | Flag.FLAGGED])
WORDS = st.lists(st.sampled_from(["a", "B", "c"]), max_size=2, unique=True)
BOX = st.sampled_from(BOXES)
PICK = st.lists(st.integers(0, 30), min_size=1, max_size=5)


class StoreMachine(RuleBasedStateMachine):
    """model: {mailbox: {uid: (flags, keywords, content number)}}"""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="mox-model-"))
        self.store = open_store(self.directory)
        self.account = self.store.account("a")
        self.model: dict[str, dict[int, tuple[int, frozenset[str], int]]] = {b: {} for b in BOXES}
        self.next_uid = dict.fromkeys(BOXES, 1)
        self.number = 0
        self.modseq = int(self.account.modseq())
        # A follower that knows mailboxes only through the change log.
        self.followed: dict[int, set[int]] = {}
        self.follow_from = 0

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.directory)

    def box(self, name: str) -> int:
        mailbox = self.account.mailbox(name)
        assert mailbox is not None
        return mailbox.id

    def picked(self, name: str, picks: list[int]) -> list[int]:
        uids = sorted(self.model[name])
        return sorted({uids[i % len(uids)] for i in picks}) if uids else [4711]

    @rule(name=BOX, flags=FLAGS, words=WORDS, count=st.integers(1, 3))
    def append(self, name: str, flags: Flag, words: list[str], count: int) -> None:
        new = []
        for _ in range(count):
            self.number += 1
            spool = self.store.spool()
            spool.write(b"X-N: %d\r\n\r\nbody\r\n" % self.number)
            new.append(NewMessage(spool, (self.number, 0), flags, tuple(words)))
        uids = self.account.append(self.box(name), new).uids  # type: ignore[arg-type]
        first = self.next_uid[name]
        assert uids == tuple(range(first, first + count))
        self.next_uid[name] += count
        for i, uid in enumerate(uids):
            keywords = frozenset(w.lower() for w in words)
            self.model[name][uid] = (int(flags), keywords, self.number - count + 1 + i)

    @rule(name=BOX, picks=PICK, op=st.sampled_from(FlagOp), flags=FLAGS, words=WORDS)
    def store_flags(
        self, name: str, picks: list[int], op: FlagOp, flags: Flag, words: list[str]
    ) -> None:
        uids = self.picked(name, picks)
        result = self.account.store_flags(self.box(name), uids, op, flags, words)  # type: ignore[arg-type]
        given = frozenset(w.lower() for w in words)
        for uid in uids:
            if uid not in self.model[name]:
                continue
            old_flags, old_words, number = self.model[name][uid]
            if op is FlagOp.ADD:
                now = (old_flags | flags, old_words | given)
            elif op is FlagOp.REMOVE:
                now = (old_flags & ~flags, old_words - given)
            else:
                now = (int(flags), given)
            self.model[name][uid] = (int(now[0]), now[1], number)
        assert [c[0] for c in result.changed] == [u for u in uids if u in self.model[name]]

    @rule(source=BOX, goal=BOX, picks=PICK, move=st.booleans())
    def transfer(self, source: str, goal: str, picks: list[int], move: bool) -> None:
        uids = self.picked(source, picks)
        operation = self.account.move if move else self.account.copy
        result = operation(self.box(source), uids, self.box(goal))  # type: ignore[arg-type,operator]
        there = [uid for uid in uids if uid in self.model[source]]
        assert list(result.source_uids) == there
        for uid, new in zip(result.source_uids, result.dest_uids, strict=True):
            assert new == self.next_uid[goal]
            self.next_uid[goal] += 1
            self.model[goal][new] = self.model[source][uid]
        if move:
            for uid in there:
                del self.model[source][uid]

    @rule(name=BOX, picks=st.none() | PICK)
    def expunge(self, name: str, picks: list[int] | None) -> None:
        uids = None if picks is None else self.picked(name, picks)
        result = self.account.expunge(self.box(name), uids)  # type: ignore[arg-type]
        expected = [
            uid
            for uid, (flags, _, _) in sorted(self.model[name].items())
            if flags & Flag.DELETED and (uids is None or uid in uids)
        ]
        assert list(result.uids) == expected
        for uid in expected:
            del self.model[name][uid]

    @rule()
    def mirror(self) -> None:
        mirror_flags(self.store)

    @rule(name=BOX)
    def compare_with_files(self, name: str) -> None:
        self.store.finish_background()
        assert not self.account.mend(self.box(name))  # type: ignore[arg-type]

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = open_store(self.directory)
        self.account = self.store.account("a")

    @invariant()
    def agrees(self) -> None:
        total = 0
        for name in BOXES:
            mailbox = self.account.mailbox(name)
            assert mailbox is not None
            words = [w.lower() for w in mailbox.keywords]
            seen = {}
            for message in self.account.scan(mailbox.id):
                bits = message[M_KEYWORDS]
                keywords = frozenset(w for i, w in enumerate(words) if bits >> i & 1)
                seen[message[0]] = (message[M_FLAGS] & FLAG_MASK, keywords, message[3])
                assert message[M_MODSEQ] <= mailbox.modseq
            assert seen == self.model[name]
            assert list(self.account.uids(mailbox.id)) == sorted(seen)
            assert mailbox.messages == len(seen)
            assert mailbox.uidnext == self.next_uid[name]
            assert mailbox.unseen == sum(not f & Flag.SEEN for f, _, _ in seen.values())
            assert mailbox.deleted == sum(bool(f & Flag.DELETED) for f, _, _ in seen.values())
            total += len(seen)
        assert self.account.usage().messages == total
        assert self.account.modseq() >= self.modseq
        self.modseq = int(self.account.modseq())

    @invariant()
    def the_log_tells_all(self) -> None:
        for change in self.account.changes(self.follow_from or 1):
            self.follow_from = int(change.modseq)
            uids = {uid for lo, hi in change.uids for uid in range(lo, hi + 1)}
            known = self.followed.setdefault(change.mailbox_id, set())
            if change.kind is ChangeKind.ADDED:
                assert not known & uids
                known |= uids
            elif change.kind is ChangeKind.EXPUNGED:
                assert uids <= known
                known -= uids
        for name in BOXES:
            assert self.followed.get(self.box(name), set()) == set(self.model[name])

    @invariant()
    def contents_are_right(self) -> None:
        for name in BOXES:
            for uid, (_, _, number) in list(self.model[name].items())[-2:]:
                data = self.account.read(self.box(name), uid).data  # type: ignore[arg-type]
                assert data.startswith(b"X-N: %d\n" % number)


StoreMachine.TestCase.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestStoreAgreesWithItsModel = StoreMachine.TestCase
