"""Every command that the server understands, as a frozen value.

RFC 9051 and RFC 3501 §6, with ENABLE (5161), ID (2971), IDLE (2177), NAMESPACE (2342), UIDPLUS
(4315), MOVE (6851), ESEARCH and SEARCHRES (4731, 5182), CONDSTORE and QRESYNC (7162),
LIST-EXTENDED, LIST-STATUS, SPECIAL-USE (5258, 5819, 6154), QUOTA (9208). The UID forms are the
same class with `uid` set; EXAMINE is `Select` with `read_only`. APPEND is not here: its data is
streamed, see mox.imap.events; what finds messages is in mox.imap.searchcommands.

Mailbox names are decoded `str`, the inbox always "INBOX". System flags are spelled as in the
RFC ("\\\\Seen"), keywords as the client wrote them. Uids and numbers are checked for range only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar

from mox.imap import searchkeys
from mox.imap.acl import DeleteAcl, GetAcl, ListRights, MyRights, SetAcl
from mox.imap.fetchatt import FetchAttribute
from mox.imap.metadata import Entries, GetMetadata, SetMetadata
from mox.imap.notify import Notify
from mox.imap.searchcommands import CancelUpdate as CancelUpdate
from mox.imap.searchcommands import MultiSearch as MultiSearch
from mox.imap.searchcommands import Search as Search
from mox.imap.searchcommands import SearchReturn as SearchReturn
from mox.imap.searchcommands import Sort as Sort
from mox.imap.searchcommands import Thread as Thread
from mox.imap.searchcommands import Window
from mox.imap.sequence import SequenceSet
from mox.imap.uidbatches import UidBatches

# ---- any state ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Capability:
    name: ClassVar[str] = "CAPABILITY"
    tag: str


@dataclass(frozen=True, slots=True)
class Noop:
    name: ClassVar[str] = "NOOP"
    tag: str


@dataclass(frozen=True, slots=True)
class Logout:
    name: ClassVar[str] = "LOGOUT"
    tag: str


@dataclass(frozen=True, slots=True)
class Id:
    """`fields` in the client's order, names lower case; None for ID NIL."""

    name: ClassVar[str] = "ID"
    tag: str
    fields: tuple[tuple[str, str | None], ...] | None


# ---- not authenticated -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartTls:
    name: ClassVar[str] = "STARTTLS"
    tag: str


@dataclass(frozen=True, slots=True)
class Authenticate:
    """`initial` is the decoded initial response, b"" when sent as "=", None when not sent."""

    name: ClassVar[str] = "AUTHENTICATE"
    tag: str
    mechanism: str  # upper case
    initial: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Login:
    name: ClassVar[str] = "LOGIN"
    tag: str
    username: str
    password: str = field(repr=False)


# ---- authenticated -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Enable:
    """`names` as the client wrote them: the answer echoes its spelling."""

    name: ClassVar[str] = "ENABLE"
    tag: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Qresync:
    """What the client knows of a mailbox it selects again (RFC 7162 §3.2.5).

    `numbers` and `uids` are the sequence match data, paired by position; both None when absent.
    """

    uidvalidity: int
    modseq: int
    known_uids: SequenceSet | None = None
    numbers: SequenceSet | None = None
    uids: SequenceSet | None = None


@dataclass(frozen=True, slots=True)
class Select:
    """SELECT, or EXAMINE when `read_only`."""

    name: ClassVar[str] = "SELECT"
    tag: str
    mailbox: str
    read_only: bool = False
    condstore: bool = False
    qresync: Qresync | None = None


@dataclass(frozen=True, slots=True)
class Create:
    """`mailbox` may end in "/", as RFC 3501 §6.3.3 lets clients write it."""

    name: ClassVar[str] = "CREATE"
    tag: str
    mailbox: str
    special_use: tuple[str, ...] = ()  # "\\Sent", spelled as in RFC 6154 when known there


@dataclass(frozen=True, slots=True)
class Delete:
    name: ClassVar[str] = "DELETE"
    tag: str
    mailbox: str


@dataclass(frozen=True, slots=True)
class Rename:
    name: ClassVar[str] = "RENAME"
    tag: str
    mailbox: str
    new_name: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    name: ClassVar[str] = "SUBSCRIBE"
    tag: str
    mailbox: str


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    name: ClassVar[str] = "UNSUBSCRIBE"
    tag: str
    mailbox: str


class StatusItem(Enum):
    """What STATUS can be asked for; the value is the name on the wire."""

    MESSAGES = "MESSAGES"
    UIDNEXT = "UIDNEXT"
    UIDVALIDITY = "UIDVALIDITY"
    UNSEEN = "UNSEEN"
    DELETED = "DELETED"
    SIZE = "SIZE"
    RECENT = "RECENT"
    APPENDLIMIT = "APPENDLIMIT"
    HIGHESTMODSEQ = "HIGHESTMODSEQ"
    DELETED_STORAGE = "DELETED-STORAGE"
    MAILBOXID = "MAILBOXID"


class ListSelect(Enum):
    """LIST selection options."""

    SUBSCRIBED = "SUBSCRIBED"
    REMOTE = "REMOTE"
    RECURSIVEMATCH = "RECURSIVEMATCH"
    SPECIAL_USE = "SPECIAL-USE"


class ListReturn(Enum):
    """LIST return options; STATUS is told by `List.status`."""

    SUBSCRIBED = "SUBSCRIBED"
    CHILDREN = "CHILDREN"
    SPECIAL_USE = "SPECIAL-USE"
    MYRIGHTS = "MYRIGHTS"


@dataclass(frozen=True, slots=True)
class ListPattern:
    """One mailbox pattern.

    `encoded`: the text could not be decoded as modified UTF-7 (a wildcard inside a shifted run)
    and is to be matched against encoded names.
    """

    text: str
    encoded: bool = False


@dataclass(frozen=True, slots=True)
class List:
    """`extended`: selection options, return options or a pattern list were written."""

    name: ClassVar[str] = "LIST"
    tag: str
    reference: str
    patterns: tuple[ListPattern, ...]
    selection: frozenset[ListSelect] = frozenset()
    returns: frozenset[ListReturn] = frozenset()
    status: tuple[StatusItem, ...] = ()
    extended: bool = False
    metadata: Entries | None = None


@dataclass(frozen=True, slots=True)
class Lsub:
    name: ClassVar[str] = "LSUB"
    tag: str
    reference: str
    pattern: ListPattern


@dataclass(frozen=True, slots=True)
class Namespace:
    name: ClassVar[str] = "NAMESPACE"
    tag: str


@dataclass(frozen=True, slots=True)
class Status:
    """`items` in the client's order, without repeats."""

    name: ClassVar[str] = "STATUS"
    tag: str
    mailbox: str
    items: tuple[StatusItem, ...]


@dataclass(frozen=True, slots=True)
class Idle:
    name: ClassVar[str] = "IDLE"
    tag: str


@dataclass(frozen=True, slots=True)
class Compress:
    """COMPRESS DEFLATE: the only algorithm there is."""

    name: ClassVar[str] = "COMPRESS"
    tag: str


@dataclass(frozen=True, slots=True)
class Unauthenticate:
    name: ClassVar[str] = "UNAUTHENTICATE"
    tag: str


@dataclass(frozen=True, slots=True)
class GetQuota:
    name: ClassVar[str] = "GETQUOTA"
    tag: str
    root: str


@dataclass(frozen=True, slots=True)
class GetQuotaRoot:
    name: ClassVar[str] = "GETQUOTAROOT"
    tag: str
    mailbox: str


@dataclass(frozen=True, slots=True)
class SetQuota:
    """`limits`: resource names in upper case, with their limits."""

    name: ClassVar[str] = "SETQUOTA"
    tag: str
    root: str
    limits: tuple[tuple[str, int], ...]


# ---- selected ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Check:
    name: ClassVar[str] = "CHECK"
    tag: str


@dataclass(frozen=True, slots=True)
class Close:
    name: ClassVar[str] = "CLOSE"
    tag: str


@dataclass(frozen=True, slots=True)
class Unselect:
    name: ClassVar[str] = "UNSELECT"
    tag: str


@dataclass(frozen=True, slots=True)
class Expunge:
    """`uids` None: EXPUNGE; otherwise UID EXPUNGE of these."""

    name: ClassVar[str] = "EXPUNGE"
    tag: str
    uids: SequenceSet | None = None

    @property
    def uid(self) -> bool:
        return self.uids is not None


@dataclass(frozen=True, slots=True)
class Fetch:
    name: ClassVar[str] = "FETCH"
    tag: str
    messages: SequenceSet
    attributes: tuple[FetchAttribute, ...]  # in the client's order, without repeats
    uid: bool = False
    changed_since: int | None = None
    vanished: bool = False
    window: Window | None = None  # of the messages, before changed_since is looked at


class StoreMode(Enum):
    """FLAGS, +FLAGS or -FLAGS."""

    REPLACE = ""
    ADD = "+"
    REMOVE = "-"


@dataclass(frozen=True, slots=True)
class Store:
    name: ClassVar[str] = "STORE"
    tag: str
    messages: SequenceSet
    mode: StoreMode
    flags: tuple[str, ...]
    uid: bool = False
    silent: bool = False
    unchanged_since: int | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    name: ClassVar[str] = "COPY"
    tag: str
    messages: SequenceSet
    mailbox: str
    uid: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    name: ClassVar[str] = "MOVE"
    tag: str
    messages: SequenceSet
    mailbox: str
    uid: bool = False


Command = (
    Capability
    | Noop
    | Logout
    | Id
    | StartTls
    | Authenticate
    | Login
    | Enable
    | Select
    | Create
    | Delete
    | Rename
    | Subscribe
    | Unsubscribe
    | List
    | Lsub
    | Namespace
    | Status
    | Idle
    | Compress
    | Unauthenticate
    | GetQuota
    | GetQuotaRoot
    | SetQuota
    | UidBatches
    | Notify
    | GetMetadata
    | SetMetadata
    | MyRights
    | GetAcl
    | SetAcl
    | DeleteAcl
    | ListRights
    | Check
    | Close
    | Unselect
    | Expunge
    | Search
    | Sort
    | Thread
    | MultiSearch
    | CancelUpdate
    | Fetch
    | Store
    | Copy
    | Move
)


def uses_numbers(command: Command) -> bool:
    """Whether the command, or its answer, has message sequence numbers (RFC 9586 §3.1)."""
    uid = getattr(command, "uid", None)
    if uid is not None and not isinstance(command, Expunge) and not uid:
        return True
    key = getattr(command, "key", None)
    return key is not None and searchkeys.uses_numbers(key)


def label(command: Command) -> str:
    """Name the command as the client knows it, in lower case: "uid fetch", "examine"."""
    if isinstance(command, Select) and command.read_only:
        return "examine"
    prefix = "uid " if getattr(command, "uid", False) else ""
    return prefix + command.name.lower()
