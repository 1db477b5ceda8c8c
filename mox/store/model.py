"""The values that cross the border of the store: ids, flags, messages, mailboxes, changes.

Flags and keywords follow RFC 9051 §2.3.2. The six system flags are bits of `Flag`; every other
flag is a keyword, held per message as bits that index the mailbox's keyword tuple. `$Forwarded`
is a `Flag` because Maildir has a letter for it (P, "passed").
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, IntEnum, IntFlag
from typing import TYPE_CHECKING, NewType

import msgspec

if TYPE_CHECKING:
    from mox.junk.mailboxflags import MailboxFlags
    from mox.store.account import Account
    from mox.store.committer import WriteTxn
    from mox.store.origin import Origin
    from mox.store.spool import Spool

AccountId = NewType("AccountId", int)
MailboxId = NewType("MailboxId", int)
Uid = NewType("Uid", int)
ModSeq = NewType("ModSeq", int)

MAX_UID = 0xFFFFFFFF
# A mailbox knows this many keywords: bits of a 64-bit word. The first 26 have Maildir letters.
MAX_KEYWORDS = 64

# (seconds since the epoch, minutes east of UTC): INTERNALDATE keeps the zone it was given.
Timestamp = tuple[int, int]


class Flag(IntFlag):
    """System flags of a message; the Maildir letters are S R F T D P in this order."""

    NONE = 0
    SEEN = 1
    ANSWERED = 2
    FLAGGED = 4
    DELETED = 8
    DRAFT = 16
    FORWARDED = 32


# A message's hot record is a plain tuple, because commands walk over 100,000 of them.
# M_FLAGS holds Flag bits; bits above FLAG_MASK are the store's own.
MessageTuple = tuple[int, int, int, int, int, int, int, int, int, int]
M_UID = 0
M_MODSEQ = 1
M_KEYWORDS = 2  # bits into Mailbox.keywords
M_RECEIVED = 3  # INTERNALDATE, seconds since the epoch
M_SAVED = 4  # when it came into this mailbox, seconds since the epoch
M_EMAIL_ID = 5  # same number for all copies within the account
M_THREAD_ID = 6
M_SIZE = 7  # RFC822.SIZE: octets in wire form
M_FLAGS = 8
M_ZONE = 9  # of INTERNALDATE, minutes east of UTC
FLAG_MASK = 0x3FFF


@dataclass(frozen=True, slots=True)
class FlagColumn:
    """The system flags of a mailbox's messages, an octet for each, as of HIGHESTMODSEQ `modseq`."""

    modseq: int
    uids: array[int]  # ascending
    flags: bytes


class Mailbox(msgspec.Struct, frozen=True, kw_only=True):
    """One mailbox as it stood when read. Counts include messages with \\Deleted."""

    id: MailboxId
    name: str  # "/" separates levels; "INBOX" for the inbox
    uidvalidity: int
    uidnext: int
    modseq: ModSeq  # HIGHESTMODSEQ
    messages: int
    unseen: int
    deleted: int
    size: int  # octets in wire form
    deleted_size: int
    recent_from: int  # lowest uid that no session has claimed as \Recent
    special_use: tuple[str, ...] = ()  # "\\Sent", …
    keywords: tuple[str, ...] = ()
    subscribed: bool = True
    has_children: bool = False


class FlagOp(Enum):
    """What STORE does with the given flags and keywords."""

    ADD = "+"
    REMOVE = "-"
    REPLACE = ""


@dataclass(frozen=True, slots=True)
class Target:
    """One recipient of a delivery. `prefix` holds the added header fields in wire form.

    origin: what the reputation of senders needs; its mailboxes are filled in. destined: the
    mailbox that it would have gone to, created when missing. once: a reject that the mailbox has
    already is not stored again (ErrorKind.EXISTS). most: a mailbox with so many messages takes no
    more (ErrorKind.LIMIT); 0 for no limit. then: what else to change in the same transaction, given
    the email id of the stored message; it may be called again when the delivery is tried again.
    """

    account: Account
    mailbox: str  # created when missing
    prefix: bytes
    received: Timestamp
    flags: Flag = Flag.NONE
    keywords: tuple[str, ...] = ()
    quota: int = 0  # octets, 0 = no limit
    origin: Origin | None = None
    destined: str = ""
    once: bool = False
    most: int = 0
    marks: MailboxFlags | None = None  # junk flags that follow from the mailbox
    then: Callable[[WriteTxn, int], None] | None = None


@dataclass(frozen=True, slots=True)
class NewMessage:
    """One message of an APPEND."""

    spool: Spool
    received: Timestamp
    flags: Flag = Flag.NONE
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delivered:
    mailbox_id: MailboxId
    uidvalidity: int
    uid: Uid
    modseq: ModSeq
    path: str  # below the account's Maildir


@dataclass(frozen=True, slots=True)
class Appended:
    uidvalidity: int
    uids: tuple[int, ...]  # in the order given, ascending
    modseq: ModSeq


@dataclass(frozen=True, slots=True)
class Copied:
    """Result of COPY or MOVE; the two uid tuples pair by position, sources ascending."""

    uidvalidity: int
    source_uids: tuple[int, ...]
    dest_uids: tuple[int, ...]
    modseq: ModSeq


@dataclass(frozen=True, slots=True)
class Stored:
    """Result of STORE.

    `changed` holds (uid, flags, keyword bits, modseq) of each message that the operation applied
    to, also where nothing changed (then with its old modseq); `modified` those that
    UNCHANGEDSINCE kept back; `keywords` the mailbox's keyword tuple afterwards.
    """

    modseq: ModSeq  # of this operation; 0 when nothing changed
    changed: list[tuple[int, int, int, int]]
    modified: list[int]
    keywords: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Expunged:
    uids: tuple[int, ...]
    modseq: ModSeq  # 0 when nothing was removed


@dataclass(frozen=True, slots=True)
class Usage:
    octets: int
    messages: int


class ChangeKind(IntEnum):
    """Kinds of entries in an account's change log. The numbers are on disk."""

    ADDED = 1
    FLAGS = 2
    EXPUNGED = 3
    MAILBOX_CREATED = 4
    MAILBOX_DELETED = 5
    MAILBOX_RENAMED = 6
    SUBSCRIBED = 7
    UNSUBSCRIBED = 8
    KEYWORDS = 9
    SPECIAL_USE = 10
    ANNOTATED = 11


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of the change log: what happened to one mailbox at one modseq."""

    kind: ChangeKind
    modseq: ModSeq
    mailbox_id: MailboxId
    uids: tuple[tuple[int, int], ...] = ()  # inclusive ranges, ascending
    name: str = ""  # of the mailbox, for kinds 4 to 8, 10 and 11
    old_name: str = ""  # MAILBOX_RENAMED
    entries: tuple[str, ...] = ()  # ANNOTATED; of the account when mailbox_id is 0


@dataclass(slots=True)
class StoredMessage:
    """A message's octets. `wire` False: LF line ends, to be sent as CRLF."""

    data: bytes
    wire: bool
    size: int = field(default=0)  # octets in wire form
