"""Commands after login that need no selected mailbox, but LIST, which has its own file."""

from __future__ import annotations

from mox.imap.commands import (
    Compress,
    Create,
    Delete,
    Enable,
    GetQuota,
    GetQuotaRoot,
    Idle,
    Namespace,
    Qresync,
    Rename,
    Select,
    SetQuota,
    Status,
    StatusItem,
    Subscribe,
    Unauthenticate,
    Unsubscribe,
)
from mox.imap.grammar.cursor import MAX_NUMBER64, Cursor, unique
from mox.imap.grammar.mailbox import mailbox
from mox.imap.grammar.sequence_set import sequence_set
from mox.imap.sequence import SequenceSet

# RFC 6154 §6: the spelling of use-attr; others are kept as written for the answer to refuse.
SPECIAL_USES = {
    use.lower(): use
    for use in (
        "\\All",
        "\\Archive",
        "\\Drafts",
        "\\Flagged",
        "\\Important",
        "\\Junk",
        "\\Sent",
        "\\Trash",
    )
}
_STATUS_ITEMS = {item.value: item for item in StatusItem}


def enable(cursor: Cursor, tag: str) -> Enable:
    cursor.space()
    names = [cursor.atom("a capability")]
    while cursor.more():
        names.append(cursor.atom("a capability"))
    return Enable(tag, unique(names))


def select(cursor: Cursor, tag: str) -> Select:
    return _select(cursor, tag, read_only=False)


def examine(cursor: Cursor, tag: str) -> Select:
    return _select(cursor, tag, read_only=True)


def _select(cursor: Cursor, tag: str, *, read_only: bool) -> Select:
    cursor.space()
    name = mailbox(cursor)
    if not cursor.more():
        return Select(tag, name, read_only)
    parameters = cursor.parenthesised(lambda: _select_parameter(cursor))
    qresync = next((each for each in parameters if each is not None), None)
    if len(parameters) - parameters.count(None) > 1:
        cursor.fail("repeated QRESYNC")
    return Select(tag, name, read_only, condstore=None in parameters, qresync=qresync)


def _select_parameter(cursor: Cursor) -> Qresync | None:
    """Read one SELECT parameter; None stands for CONDSTORE."""
    name = cursor.word("CONDSTORE or QRESYNC")
    if name == "CONDSTORE":
        return None
    if name != "QRESYNC":
        cursor.fail("unknown parameter")
    cursor.space()
    cursor.take(b"(")
    found = _qresync(cursor)
    cursor.take(b")")
    return found


# RFC 7162 §7: select-param =/ "QRESYNC" SP "(" uidvalidity SP mod-sequence-value
#   [SP known-uids] [SP seq-match-data] ")"
def _qresync(cursor: Cursor) -> Qresync:
    uidvalidity = cursor.nz_number()
    cursor.space()
    # RFC 7162 §7 wants 1 or more; 0 comes from clients that never learned a modseq.
    modseq = cursor.number(MAX_NUMBER64)
    if not modseq:
        cursor.tolerate("modseq is at least 1")
    known: SequenceSet | None = None
    if not cursor.maybe(b" "):
        return Qresync(uidvalidity, modseq)
    if cursor.peek() != b"(":
        known = sequence_set(cursor, saved=False, star=False)
        if not cursor.maybe(b" "):
            return Qresync(uidvalidity, modseq, known)
    cursor.take(b"(")
    numbers = sequence_set(cursor, saved=False, star=False)
    cursor.space()
    uids = sequence_set(cursor, saved=False, star=False)
    cursor.take(b")")
    return Qresync(uidvalidity, modseq, known, numbers, uids)


def create(cursor: Cursor, tag: str) -> Create:
    cursor.space()
    name = mailbox(cursor)
    if not cursor.more():
        return Create(tag, name)
    # RFC 6154 §6: create-param =/ "USE" SP "(" [use-attr *(SP use-attr)] ")"
    cursor.take(b"(")
    if cursor.word("USE") != "USE":
        cursor.fail("unknown parameter")
    cursor.space()
    uses = cursor.parenthesised(lambda: _special_use(cursor), empty=True)
    cursor.take(b")")
    return Create(tag, name, unique(uses))


def _special_use(cursor: Cursor) -> str:
    cursor.take(b"\\")
    use = "\\" + cursor.atom("a special use")
    return SPECIAL_USES.get(use.lower(), use)


def delete(cursor: Cursor, tag: str) -> Delete:
    cursor.space()
    return Delete(tag, mailbox(cursor))


def rename(cursor: Cursor, tag: str) -> Rename:
    cursor.space()
    old = mailbox(cursor)
    cursor.space()
    return Rename(tag, old, mailbox(cursor))


def subscribe(cursor: Cursor, tag: str) -> Subscribe:
    cursor.space()
    return Subscribe(tag, mailbox(cursor))


def unsubscribe(cursor: Cursor, tag: str) -> Unsubscribe:
    cursor.space()
    return Unsubscribe(tag, mailbox(cursor))


def namespace(cursor: Cursor, tag: str) -> Namespace:
    return Namespace(tag)


def status(cursor: Cursor, tag: str) -> Status:
    cursor.space()
    name = mailbox(cursor)
    cursor.space()
    return Status(tag, name, status_items(cursor))


def status_items(cursor: Cursor) -> tuple[StatusItem, ...]:
    """Read what STATUS or LIST RETURN (STATUS …) asks for; at least one item."""
    return unique(cursor.parenthesised(lambda: _status_item(cursor)))


def _status_item(cursor: Cursor) -> StatusItem:
    item = _STATUS_ITEMS.get(cursor.word("a status item"))
    if item is None:
        cursor.fail("unknown status item")
    return item


def idle(cursor: Cursor, tag: str) -> Idle:
    return Idle(tag)


# RFC 4978 §4: compress = "COMPRESS" SP algorithm; algorithm = "DEFLATE"
def compress(cursor: Cursor, tag: str) -> Compress:
    cursor.space()
    if cursor.word("an algorithm") != "DEFLATE":
        cursor.fail("unknown compression algorithm")
    return Compress(tag)


def unauthenticate(cursor: Cursor, tag: str) -> Unauthenticate:
    return Unauthenticate(tag)


def getquota(cursor: Cursor, tag: str) -> GetQuota:
    cursor.space()
    return GetQuota(tag, cursor.unicode(cursor.astring("a quota root"), "quota root"))


def getquotaroot(cursor: Cursor, tag: str) -> GetQuotaRoot:
    cursor.space()
    return GetQuotaRoot(tag, mailbox(cursor))


# RFC 9208 §7: setquota = "SETQUOTA" SP quota-root-name SP setquota-list
def setquota(cursor: Cursor, tag: str) -> SetQuota:
    cursor.space()
    root = cursor.unicode(cursor.astring("a quota root"), "quota root")
    cursor.space()
    limits = cursor.parenthesised(lambda: _resource_limit(cursor), empty=True)
    return SetQuota(tag, root, unique(limits))


def _resource_limit(cursor: Cursor) -> tuple[str, int]:
    resource = cursor.atom("a resource").upper()
    cursor.space()
    return resource, cursor.number(MAX_NUMBER64)
