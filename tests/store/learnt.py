"""What a content filter should have learnt, found out without its own records."""

from __future__ import annotations

from mox.junk.classifier import Counts, Totals
from mox.junk.mailboxflags import Mark
from mox.junk.params import Params
from mox.junk.tokens import tokens
from mox.store import words
from mox.store.account import Account
from mox.store.model import M_KEYWORDS
from mox.store.reading import range_items
from mox.store.records import KEY_A
from mox.store.words import COUNTS, read_state


def expected(account: Account, params: Params) -> tuple[Totals, dict[str, Counts]]:
    """Totals and counts by reading every message and its flags."""
    totals = [0, 0]
    counts: dict[str, list[int]] = {}
    for mailbox in account.mailboxes():
        for message in account.scan(mailbox.id):
            mark = words.wanted(mailbox.keywords, message[M_KEYWORDS])
            if mark is Mark.NONE:
                continue
            side = 0 if mark is Mark.HAM else 1
            totals[side] += 1
            stored = account.read(mailbox.id, message[0])
            for word in tokens(stored.data, params, wire=stored.wire).words:
                counts.setdefault(word, [0, 0])[side] += 1
    return Totals(*totals), {word: Counts(*pair) for word, pair in counts.items()}


def learnt(account: Account) -> tuple[Totals, dict[str, Counts]]:
    """Totals and counts as the filter has them."""
    dbs = account.store.dbs
    with dbs.env.begin() as txn:
        items = range_items(txn, dbs.word, KEY_A.pack(account.id))
        counts = {key[4:].decode(): Counts(*COUNTS.unpack(value)) for key, value in items}
    return read_state(dbs, account.id).totals, counts
