"""Server responses as octets: status lines, LIST, STATUS, SEARCH, ESEARCH and the like.

RFC 9051 §7, RFC 3501 §7, RFC 4731 and RFC 7162 (ESEARCH, VANISHED), RFC 9208 (QUOTA), RFC 2971
(ID), RFC 2342 (NAMESPACE). FETCH has its own module. Every function gives whole lines; `utf8`
means that the client enabled UTF8=ACCEPT or IMAP4rev2.

>>> tagged("a1", "OK", "done", codes.uidnext(5))
b'a1 OK [UIDNEXT 5] done\\r\\n'
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mox.imap import codes, strings
from mox.imap.commands import StatusItem
from mox.imap.metadata import Value
from mox.imap.searchcommands import Window
from mox.imap.sequence import Range, format_ordered, format_split

Condition = Literal["OK", "NO", "BAD"]
UntaggedCondition = Literal["OK", "NO", "BAD", "BYE", "PREAUTH"]

# Lines that one format makes.
_AT_ONCE = 1000

# ---- status responses --------------------------------------------------------------------------


def tagged(tag: str, condition: Condition, text: str, code: bytes = b"") -> bytes:
    """Complete the command `tag`."""
    return tag.encode("ascii") + _status(condition, text, code)


def untagged(condition: UntaggedCondition, text: str, code: bytes = b"") -> bytes:
    return b"*" + _status(condition, text, code)


def _status(condition: str, text: str, code: bytes) -> bytes:
    bracket = b"[" + code + b"] " if code else b""
    return b" %s %s%s\r\n" % (condition.encode("ascii"), bracket, strings.text(text))


def continuation(text: str = "") -> bytes:
    """Ask for the rest: of a literal, a SASL exchange (`text` is base64 then), or for DONE."""
    return b"+ " + text.encode("ascii") + b"\r\n"


# ---- server and session ------------------------------------------------------------------------


def capability(names: Sequence[str]) -> bytes:
    return b"* " + codes.capability(names) + b"\r\n"


def enabled(names: Sequence[str]) -> bytes:
    return b"* " + " ".join(["ENABLED", *names]).encode("ascii") + b"\r\n"


def server_id(fields: Mapping[str, str]) -> bytes:
    if not fields:
        return b"* ID NIL\r\n"
    pairs = [strings.string(word.encode("utf-8")) for pair in fields.items() for word in pair]
    return b"* ID " + strings.parenthesised(pairs) + b"\r\n"


def namespace() -> bytes:
    """One personal namespace without prefix, "/" between levels; no others."""
    return b'* NAMESPACE (("" "/")) NIL NIL\r\n'


# ---- the selected mailbox ----------------------------------------------------------------------


def exists(count: int) -> bytes:
    return b"* %d EXISTS\r\n" % count


def recent(count: int) -> bytes:
    return b"* %d RECENT\r\n" % count


def flags(names: tuple[str, ...]) -> bytes:
    return b"* FLAGS " + strings.flag_list(names) + b"\r\n"


def expunge(numbers: Sequence[int]) -> list[bytes]:
    """Give a line for each, in this order; many lines in each piece."""
    pieces = [numbers[at : at + _AT_ONCE] for at in range(0, len(numbers), _AT_ONCE)]
    return [b"* %d EXPUNGE\r\n" * len(piece) % tuple(piece) for piece in pieces]


def vanished(uids: Sequence[Range], *, earlier: bool = False) -> bytes:
    """Tell uid ranges, ascending, as gone (RFC 7162 §3.2.10); long sets in several lines."""
    start = b"* VANISHED (EARLIER) " if earlier else b"* VANISHED "
    return b"".join([start + piece + b"\r\n" for piece in format_split(uids)])


# ---- mailboxes ---------------------------------------------------------------------------------


def list_line(
    name: str,
    attributes: Sequence[str] = (),
    *,
    childinfo: Sequence[str] = (),
    oldname: str | None = None,
    utf8: bool = False,
    verb: Literal["LIST", "LSUB"] = "LIST",
) -> bytes:
    """Give one LIST or LSUB line; `childinfo` and `oldname` become extended data items.

    RFC 9051 §9: mbox-list-extended = "(" [mbox-list-extended-item …] ")", with tags as astrings.
    """
    extended = []
    if childinfo:
        options = [b'"' + option.encode("ascii") + b'"' for option in childinfo]
        extended.append(b'"CHILDINFO" ' + strings.parenthesised(options))
    if oldname is not None:
        extended.append(b'"OLDNAME" (' + strings.mailbox(oldname, utf8=utf8) + b")")
    line = b'* %s (%s) "/" %s' % (
        verb.encode("ascii"),
        " ".join(attributes).encode("ascii", "replace"),
        strings.mailbox(name, utf8=utf8) if name else b'""',
    )
    return line + (b" " + strings.parenthesised(extended) if extended else b"") + b"\r\n"


def status(
    name: str, values: Iterable[tuple[StatusItem, int | str | None]], *, utf8: bool = False
) -> bytes:
    """Give a STATUS line; a value None is NIL (APPENDLIMIT without a limit)."""
    items = [
        f"{item.value} {'NIL' if value is None else value}".encode("ascii")
        for item, value in values
    ]
    return b"* STATUS " + strings.mailbox(name, utf8=utf8) + b" (" + b" ".join(items) + b")\r\n"


def quotaroot(name: str, roots: Sequence[str] = ("",), *, utf8: bool = False) -> bytes:
    words = [strings.mailbox(name, utf8=utf8)]
    words += [strings.astring(root.encode("utf-8")) for root in roots]
    return b"* QUOTAROOT " + b" ".join(words) + b"\r\n"


def quota(root: str, resources: Iterable[tuple[str, int, int]]) -> bytes:
    """`resources`: name, usage, limit; STORAGE counts units of 1024 octets (RFC 9208 §5.1)."""
    triples = [b"%s %d %d" % (name.encode("ascii"), used, most) for name, used, most in resources]
    name = strings.astring(root.encode("utf-8"))
    return b"* QUOTA " + name + b" " + strings.parenthesised(triples) + b"\r\n"


def myrights(name: str, rights: str, *, utf8: bool = False) -> bytes:
    return b"* MYRIGHTS " + _words(strings.mailbox(name, utf8=utf8), rights) + b"\r\n"


def acl(name: str, entries: Iterable[tuple[str, str]], *, utf8: bool = False) -> bytes:
    """`entries`: identifiers with their rights (RFC 4314 §3.6)."""
    words = [word for entry in entries for word in entry]
    return b"* ACL " + _words(strings.mailbox(name, utf8=utf8), *words) + b"\r\n"


def listrights(
    name: str, identifier: str, required: str, optional: Sequence[str] = (), *, utf8: bool = False
) -> bytes:
    """The rights that always go together with an identifier, and those that can be given."""
    start = strings.mailbox(name, utf8=utf8)
    return b"* LISTRIGHTS " + _words(start, identifier, required, *optional) + b"\r\n"


def metadata(name: str, values: Iterable[tuple[str, Value | None]], *, utf8: bool = False) -> bytes:
    """Entries with their values, NIL for those that have none (RFC 5464 §4.4.1)."""
    words = [
        strings.astring(entry.encode("utf-8")) + b" " + _value(value) for entry, value in values
    ]
    return b"* METADATA " + _annotated(name, utf8) + b" " + strings.parenthesised(words) + b"\r\n"


def metadata_changed(name: str, entries: Iterable[str], *, utf8: bool = False) -> bytes:
    """Entries that have changed, without values (RFC 5464 §4.4.2)."""
    return b"* METADATA " + _words(_annotated(name, utf8), *entries) + b"\r\n"


def _annotated(name: str, utf8: bool) -> bytes:
    return strings.mailbox(name, utf8=utf8) if name else b'""'


def _value(value: Value | None) -> bytes:
    if value is None:
        return strings.NIL
    if value.binary:
        return strings.literal_start(len(value.octets), binary=True) + value.octets
    return strings.string(value.octets)


def _words(start: bytes, *words: str) -> bytes:
    return b" ".join([start, *(strings.astring(word.encode("utf-8")) for word in words)])


def uidbatches(tag: str, ranges: Sequence[tuple[int, int]]) -> bytes:
    """The ranges of a UIDBATCHES command, highest first (RFC 10022 §3.1)."""
    words = b",".join([b"%d:%d" % pair for pair in ranges])
    return b'* UIDBATCHES (TAG "%s")%s%s\r\n' % (
        tag.encode("ascii"),
        b" " if ranges else b"",
        words,
    )


# ---- search results ----------------------------------------------------------------------------


def search(numbers: Sequence[int], modseq: int | None = None) -> bytes:
    """Give the classic answer; `modseq` when MODSEQ was a search key.

    One line however long: many clients look at the first SEARCH of an answer only. The modseq is
    the highest of the messages found, none without messages (RFC 7162 §3.1.5).
    """
    if not numbers:
        return b"* SEARCH\r\n"
    words = " ".join(map(str, numbers)).encode("ascii")
    end = b"" if modseq is None else b" (MODSEQ %d)" % modseq
    return b"* SEARCH " + words + end + b"\r\n"


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What an ESEARCH response tells; only what was asked for is set."""

    minimum: int | None = None
    maximum: int | None = None
    count: int | None = None
    all: Sequence[int] | None = None
    modseq: int | None = None
    partial: tuple[Window, Sequence[int]] | None = None
    relevancy: Sequence[int] | None = None


def sort(numbers: Sequence[int], modseq: int | None = None) -> bytes:
    """Give the classic answer to SORT; `modseq` as for search()."""
    return search(numbers, modseq).replace(b"SEARCH", b"SORT", 1)


def thread(threads: bytes) -> bytes:
    """Give the THREAD answer (RFC 5256 §4)."""
    return b"* THREAD " + threads + b"\r\n" if threads else b"* THREAD\r\n"


def esearch(
    tag: str,
    result: SearchResult,
    *,
    uid: bool,
    mailbox: tuple[str, int] | None = None,
    utf8: bool = False,
) -> bytes:
    """Give the ESEARCH answer (RFC 9051 §7.3.4, RFC 5267 §3, RFC 6203 §4, RFC 9394 §3).

    `mailbox`: name and UIDVALIDITY, of an answer that may be about any mailbox (RFC 7377 §2.1).
    """
    words = [_correlator(tag, mailbox, utf8=utf8)]
    if uid:
        words.append(b"UID")
    numbers = (("MIN", result.minimum), ("MAX", result.maximum), ("COUNT", result.count))
    words += [
        b"%s %d" % (word.encode("ascii"), value) for word, value in numbers if value is not None
    ]
    # RFC 4731 §3.1: without matches ALL is left out.
    if result.all is not None and len(result.all):
        words.append(b"ALL " + format_ordered(result.all))
    if result.partial is not None:
        window, found = result.partial
        words.append(b"PARTIAL (%d:%d %b)" % (*window, format_ordered(found) or b"NIL"))
    if result.relevancy is not None:
        words.append(b"RELEVANCY (%b)" % " ".join(map(str, result.relevancy)).encode("ascii"))
    if result.modseq is not None:
        words.append(b"MODSEQ %d" % result.modseq)
    return b" ".join(words) + b"\r\n"


def _correlator(tag: str, mailbox: tuple[str, int] | None, *, utf8: bool) -> bytes:
    words = b'* ESEARCH (TAG "' + tag.encode("ascii") + b'"'
    if mailbox is not None:
        name = strings.mailbox(mailbox[0], utf8=utf8)
        words += b" MAILBOX %b UIDVALIDITY %d" % (name, mailbox[1])
    return words + b")"


def context_change(
    tag: str,
    verb: Literal["ADDTO", "REMOVEFROM"],
    changes: Sequence[tuple[int, bytes]],
    *,
    uid: bool,
) -> bytes:
    """Tell how the results of a search have changed: positions, and sets (RFC 5267 §4.3)."""
    pairs = b" ".join([b"%d %b" % change for change in changes])
    words = [_correlator(tag, None, utf8=False), b"UID" if uid else b"", verb.encode("ascii")]
    return b" ".join([word for word in words if word]) + b" (" + pairs + b")\r\n"
