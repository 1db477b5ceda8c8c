"""Layout of the index's keys and values.

The fixed-size records change with every delivery and are plain structs; the others are msgspec
structs whose new fields need defaults.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from mox.message import Summary
from mox.store.model import Change, MessageTuple

KEY_A: Final = struct.Struct(">I")
KEY_AM: Final = struct.Struct(">II")
KEY_AMU: Final = struct.Struct(">III")
KEY_AE: Final = struct.Struct(">IQ")
KEY_AEMU: Final = struct.Struct(">IQII")
KEY_AMQ: Final = struct.Struct(">IIQ")
KEY_SEQ: Final = struct.Struct(">Q")

# A commit writes each page that it changes. What changes together therefore stands side by side, in
# one database, and an octet says what a record is.
#
# `state`: every change of an account adds to the end of its log and changes its counters and those
# of a mailbox or two.
KEY_LOG: Final = struct.Struct(">IBQ")  # a, LOG, q → list of model.Change
KEY_ACCOUNT_STATE: Final = struct.Struct(">IB")  # a, ACCOUNT → AccountState
KEY_MAILBOX_STATE: Final = struct.Struct(">IBI")  # a, MAILBOX, m → MailboxState
KEY_STATES: Final = struct.Struct(">IB")  # what all of a kind begin with
LOG: Final = 0
ACCOUNT: Final = 1
MAILBOX: Final = 2
# `content`: what is the same for all copies of a message.
KEY_CONTENT: Final = struct.Struct(">IQB")  # a e and one of:
FIRST_PLACE: Final = 0  # → PLACE where it got its email id; it may have left since
OVERVIEW: Final = 1  # → pack_overview: ENVELOPE and BODYSTRUCTURE, ready to send
SUMMARY: Final = 2  # → message.Summary
# `file`: the path of a message has the key a m u.
KEY_ORIGIN: Final = struct.Struct(">IIIB")  # a m u, ORIGIN → origin.Origin
ORIGIN: Final = 1

# Mailbox and uid.
PLACE: Final = struct.Struct(">II")

# One message, 64 octets: see model.M_*. Sorted by uid because uid comes first, big-endian.
MESSAGE: Final = struct.Struct(">IQQqqQQIHh4x")
# The same with the 8-octet key before it, as cursor.getmulti(keyfixed=True) hands them out.
KEYED_MESSAGE: Final = struct.Struct(">8xIQQqqQQIHh4x")

# Where the octet with the system flags is in that.
FLAGS_AT: Final = 65

# Bit of M_FLAGS: the file's lines end in CRLF already (dropped in by another program).
FILE_IS_WIRE: Final = 0x8000
# Bit of M_FLAGS: there is an origin.Origin for the message.
HAS_ORIGIN: Final = 0x4000


def pack_message(message: MessageTuple) -> bytes:
    return MESSAGE.pack(*message)


def unpack_message(value: bytes) -> MessageTuple:
    return MESSAGE.unpack(value)


class AccountRecord(msgspec.Struct, frozen=True):
    name: str
    created: int  # seconds since the epoch


class MailboxRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """The part of a mailbox that seldom changes."""

    name: str
    uidvalidity: int
    special_use: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()


class ExpungedRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message that left the mailbox: where its octets are for sessions that still show it."""

    when: int
    base: str  # of the file name
    wire: bool = False
    moved_to: tuple[int, int] | None = None  # (mailbox id, uid) for MOVE; else in expunged/


class Intent(msgspec.Struct, frozen=True, omit_defaults=True):
    """A directory to be renamed, or removed when `target` is empty. Below the Maildir."""

    source: str
    target: str = ""
    inode: int = 0  # of the directory: tells whether what is at `target` is the renamed one


_encode = msgspec.msgpack.Encoder().encode
_account = msgspec.msgpack.Decoder(AccountRecord).decode
_mailbox = msgspec.msgpack.Decoder(MailboxRecord).decode
_expunged = msgspec.msgpack.Decoder(ExpungedRecord).decode
_intents = msgspec.msgpack.Decoder(list[Intent]).decode
_changes = msgspec.msgpack.Decoder(list[Change]).decode
_summary = msgspec.msgpack.Decoder(Summary).decode

encode = _encode
decode_account = _account
decode_mailbox = _mailbox
decode_expunged = _expunged
decode_intents = _intents
decode_changes = _changes
decode_summary = _summary


class AccountState:
    """Counters of an account. They change inside write transactions only."""

    __slots__ = ("email_id", "mailbox_id", "maildir_mtime", "messages", "modseq", "octets", "uidv")
    _struct = struct.Struct(">QIIQQQq")

    def __init__(self, value: bytes) -> None:
        (
            self.modseq,  # last one given out
            self.mailbox_id,  # last one given out
            self.uidv,  # last UIDVALIDITY given out
            self.email_id,  # last one given out
            self.octets,  # wire size of all messages
            self.messages,
            self.maildir_mtime,  # of the Maildir when its folders were last compared, ns
        ) = self._struct.unpack(value)

    @classmethod
    def fresh(cls, uidvalidity: int) -> AccountState:
        return cls(cls._struct.pack(1, 0, uidvalidity, 0, 0, 0, 0))

    def pack(self) -> bytes:
        return self._struct.pack(
            self.modseq,
            self.mailbox_id,
            self.uidv,
            self.email_id,
            self.octets,
            self.messages,
            self.maildir_mtime,
        )


class MailboxState:
    """Counters of a mailbox. They change inside write transactions only."""

    __slots__ = (
        "cur_mtime",
        "deleted",
        "deleted_size",
        "messages",
        "modseq",
        "new_mtime",
        "recent_from",
        "scanned",
        "size",
        "uidnext",
        "unseen",
    )
    _struct = struct.Struct(">IQIIIQQIqqq")

    def __init__(self, value: bytes) -> None:
        (
            self.uidnext,
            self.modseq,
            self.messages,
            self.unseen,
            self.deleted,
            self.size,
            self.deleted_size,
            self.recent_from,
            self.new_mtime,  # of new/ when it was known to agree with the index, ns; 0 unknown
            self.cur_mtime,
            self.scanned,  # seconds: noted comparison in full; negative: own changes followed
        ) = self._struct.unpack(value)

    @classmethod
    def fresh(cls, modseq: int) -> MailboxState:
        return cls(cls._struct.pack(1, modseq, 0, 0, 0, 0, 0, 1, 0, 0, 0))

    def pack(self) -> bytes:
        return self._struct.pack(
            self.uidnext,
            self.modseq,
            self.messages,
            self.unseen,
            self.deleted,
            self.size,
            self.deleted_size,
            self.recent_from,
            self.new_mtime,
            self.cur_mtime,
            self.scanned,
        )


def pack_overview(envelope: bytes, bodystructure: bytes) -> bytes:
    return KEY_A.pack(len(envelope)) + envelope + bodystructure


def unpack_overview(value: bytes) -> tuple[bytes, bytes]:
    end = 4 + int.from_bytes(value[:4], "big")
    return value[4:end], value[end:]


def ranges(uids: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Join ascending uids into inclusive ranges."""
    result: list[tuple[int, int]] = []
    first = last = -2
    for uid in uids:
        if uid == last + 1:
            last = uid
            continue
        if first >= 0:
            result.append((first, last))
        first = last = uid
    if first >= 0:
        result.append((first, last))
    return tuple(result)


def pack_ranges(pairs: Iterable[tuple[int, int]]) -> bytes:
    return b"".join(KEY_AM.pack(lo, hi) for lo, hi in pairs)


def unpack_ranges(value: bytes) -> Iterator[tuple[int, int]]:
    return KEY_AM.iter_unpack(value)
