"""Whether an account's index and files agree, seen from the store of a server that has stopped."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from mox.store import Store, housekeeping
from mox.store.account import Account
from mox.store.model import FLAG_MASK, M_FLAGS, M_KEYWORDS, M_MODSEQ, Flag

DELETED = int(Flag.DELETED)

# (mailbox, uid): (flags, keywords)
Places = dict[tuple[int, int], tuple[int, frozenset[str]]]


def recover(store: Store) -> None:
    """What the keeper does after a start."""
    housekeeping.finish_intents(store, housekeeping.pending_intents(store))
    for _ in housekeeping.sweep(store, everything=True):
        pass
    store.finish_background()


def token_of(data: bytes) -> str:
    """The value of the field X-Token of a message in stored form."""
    head, found, rest = data.partition(b"X-Token: ")
    assert found, data[:200]
    assert b"\n\n" not in head, data[:200]
    return rest.partition(b"\n")[0].decode()


def look(account: Account) -> dict[str, Places]:
    """All messages by token; fails where counters, records and files do not agree."""
    found: dict[str, Places] = {}
    on_disk: Counter[str] = Counter()
    indexed: Counter[str] = Counter()
    for mailbox in account.mailboxes():
        directory = Path(account.directory(mailbox.id))
        for sub in ("cur", "new"):
            on_disk.update(f"{mailbox.id}/{sub}/{name}" for name in os.listdir(directory / sub))
        counted = [0, 0, 0, 0, 0]
        uids = account.uids(mailbox.id)
        for message in account.scan(mailbox.id):
            uid, flags = message[0], message[M_FLAGS] & FLAG_MASK
            (path,) = account.paths(mailbox.id, [uid])
            indexed[f"{mailbox.id}/{path}"] += 1
            data = (directory / path).read_bytes()
            assert len(data) + data.count(b"\n") == message[7]
            assert data.endswith(b"\n"), "cut short"
            words = frozenset(
                word for i, word in enumerate(mailbox.keywords) if message[M_KEYWORDS] >> i & 1
            )
            found.setdefault(token_of(data), {})[mailbox.id, uid] = flags, words
            assert message[M_MODSEQ] <= mailbox.modseq <= account.modseq()
            assert uid < mailbox.uidnext
            is_deleted = bool(flags & DELETED)
            added = (1, not flags & Flag.SEEN, is_deleted, message[7], is_deleted * message[7])
            counted = [a + b for a, b in zip(counted, added, strict=True)]
        assert list(uids) == sorted(set(uids))
        state = account.mailbox_by_id(mailbox.id)
        assert state is not None
        counters = [state.messages, state.unseen, state.deleted, state.size, state.deleted_size]
        assert counters == counted, mailbox.name
    assert on_disk == indexed
    return found
