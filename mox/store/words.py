"""What the content filter of an account has learnt: counts of words, and from which messages.

Four databases of the index work together (see env.DATABASES):

- `trained` has, for each message that counts, as what it was trained and its tokens;
- `word` and `junk_state` are the sums over `trained`, always: they change in one transaction;
- `training` is the backlog: messages whose flags may ask for something else than was done.

Every transaction that changes a message's junk flags, adds or removes one, leaves an entry in
`training`, which costs next to nothing; the keeper reads and counts messages afterwards
(learning.py). A crash loses nothing: an entry goes away in the transaction that did its work.

The tokens are kept with a trained message (compressed, some 0.1 to 0.2 of its text) because a
message can be untrained only with the very tokens that it was trained with: its file may be gone
by then, removed by another program, and the rules for tokens may have changed.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from mox.junk.classifier import Counts, Totals
from mox.junk.mailboxflags import Mark, wanted_mark
from mox.store.origin import JUNK_KEYWORDS, NOT_JUNK_KEYWORDS
from mox.store.reading import lookup
from mox.store.records import KEY_A

if TYPE_CHECKING:
    from mox.store.env import Databases

COUNTS: Final = struct.Struct(">II")
_STATE: Final = struct.Struct(">QQI")
_TRAINED: Final = struct.Struct(">BI")
_CODES = {Mark.HAM: 1, Mark.JUNK: 2}
_MARKS = {code: mark for mark, code in _CODES.items()}


@dataclass(frozen=True, slots=True)
class JunkState:
    """Totals of an account. fingerprint: of the parameters; 0: all is to be forgotten first."""

    ham: int = 0
    spam: int = 0
    fingerprint: int = 0

    def pack(self) -> bytes:
        return _STATE.pack(self.ham, self.spam, self.fingerprint)

    @property
    def totals(self) -> Totals:
        return Totals(self.ham, self.spam)


def unpack_state(value: bytes | None) -> JunkState:
    return JunkState(*_STATE.unpack(value)) if value is not None else JunkState()


@dataclass(frozen=True, slots=True)
class Trained:
    """What one message has added to the counts: 1 to each of its tokens, for ham or for junk."""

    mark: Mark  # never NONE
    fingerprint: int  # of the parameters that gave these tokens
    tokens: frozenset[str]

    def pack(self) -> bytes:
        text = "\n".join(sorted(self.tokens)).encode()
        return _TRAINED.pack(_CODES[self.mark], self.fingerprint) + zlib.compress(text, 6)


def unpack_trained(value: bytes) -> Trained:
    code, fingerprint = _TRAINED.unpack_from(value)
    text = zlib.decompress(value[_TRAINED.size :]).decode()
    return Trained(_MARKS[code], fingerprint, frozenset(text.split("\n") if text else ()))


def trained_as(value: bytes | None) -> tuple[Mark, int]:
    """Mark and fingerprint of a `trained` record, without unpacking its tokens."""
    if value is None:
        return Mark.NONE, 0
    code, fingerprint = _TRAINED.unpack_from(value)
    return _MARKS[code], fingerprint


# ---- what flags ask for


@lru_cache(maxsize=1024)
def junk_bits(keywords: tuple[str, ...]) -> tuple[int, int]:
    """Bits of a mailbox's keyword table that mean junk, and those that mean wanted mail."""
    junk = not_junk = 0
    for i, word in enumerate(keywords):
        lower = word.lower()
        if lower in JUNK_KEYWORDS:
            junk |= 1 << i
        elif lower in NOT_JUNK_KEYWORDS:
            not_junk |= 1 << i
    return junk, not_junk


def wanted(keywords: tuple[str, ...], bits: int) -> Mark:
    """What a message with these keyword bits is to be trained as."""
    if not bits:
        return Mark.NONE
    junk, not_junk = junk_bits(keywords)
    return wanted_mark(junk=bool(bits & junk), not_junk=bool(bits & not_junk))


# ---- reading


def word_key(account_key: bytes, token: str) -> bytes:
    return account_key + token.encode()


def read_counts(
    dbs: Databases, account_id: int, tokens: Iterable[str]
) -> tuple[Totals, Mapping[str, Counts]]:
    """Totals, and the counts of those tokens that are known, in one short transaction."""
    prefix = KEY_A.pack(account_id)
    with dbs.env.begin() as txn:
        state = unpack_state(lookup(txn, dbs.junk_state, prefix))
        with txn.cursor(db=dbs.word) as cursor:
            found = cursor.getmulti([prefix + token.encode() for token in sorted(tokens)])
    # Most words are rare, and so have the same few counts.
    counts = {value: Counts(*COUNTS.unpack(value)) for value in {value for _, value in found}}
    return state.totals, {key[4:].decode(): counts[value] for key, value in found}


def read_state(dbs: Databases, account_id: int) -> JunkState:
    with dbs.env.begin() as txn:
        return unpack_state(lookup(txn, dbs.junk_state, KEY_A.pack(account_id)))
