"""Response codes, without their brackets, for responses.tagged() and responses.untagged().

RFC 9051 §7.1, RFC 5530, RFC 4315 (APPENDUID, COPYUID), RFC 7162 (HIGHESTMODSEQ, MODIFIED,
NOMODSEQ, CLOSED), RFC 6154 (USEATTR). Codes without arguments are constants.
"""

from __future__ import annotations

from collections.abc import Sequence

from mox.imap import strings
from mox.imap.sequence import format_set

ALERT = b"ALERT"
ALREADYEXISTS = b"ALREADYEXISTS"
AUTHENTICATIONFAILED = b"AUTHENTICATIONFAILED"
AUTHORIZATIONFAILED = b"AUTHORIZATIONFAILED"
BADCHARSET = b"BADCHARSET (US-ASCII UTF-8)"
CANNOT = b"CANNOT"
CLIENTBUG = b"CLIENTBUG"
CLOSED = b"CLOSED"
COMPRESSIONACTIVE = b"COMPRESSIONACTIVE"
CONTACTADMIN = b"CONTACTADMIN"
EXPUNGEISSUED = b"EXPUNGEISSUED"
HASCHILDREN = b"HASCHILDREN"
INUSE = b"INUSE"
LIMIT = b"LIMIT"
METADATA_TOOMANY = b"METADATA TOOMANY"
NONEXISTENT = b"NONEXISTENT"
NOPERM = b"NOPERM"
NOTSAVED = b"NOTSAVED"
NOTIFICATIONOVERFLOW = b"NOTIFICATIONOVERFLOW"
OVERQUOTA = b"OVERQUOTA"
PRIVACYREQUIRED = b"PRIVACYREQUIRED"
READ_ONLY = b"READ-ONLY"
READ_WRITE = b"READ-WRITE"
SERVERBUG = b"SERVERBUG"
TOOBIG = b"TOOBIG"
TOOFEW = b"TOOFEW"
TRYCREATE = b"TRYCREATE"
UNAVAILABLE = b"UNAVAILABLE"
UNKNOWN_CTE = b"UNKNOWN-CTE"
UIDREQUIRED = b"UIDREQUIRED"
USEATTR = b"USEATTR"


def appenduid(uidvalidity: int, uids: Sequence[int]) -> bytes:
    """`uids` ascending: one, or those of a MULTIAPPEND."""
    return b"APPENDUID %d %s" % (uidvalidity, format_set(uids))


def badevent(supported: Sequence[str]) -> bytes:
    """The events that NOTIFY knows (RFC 5465 §8)."""
    return b"BADEVENT (" + " ".join(supported).encode("ascii") + b")"


def badurl(url: str) -> bytes:
    """The URL that could not be used (RFC 4469 §4.1)."""
    shown = "".join(char if " " <= char <= "~" and char not in '"\\]' else "?" for char in url)
    return b'BADURL "' + shown[:1000].encode("ascii") + b'"'


def copyuid(uidvalidity: int, source: Sequence[int], destination: Sequence[int]) -> bytes:
    """Both ascending and of one length: they pair by position (RFC 4315 §3)."""
    return b"COPYUID %d %s %s" % (uidvalidity, format_set(source), format_set(destination))


def modified(numbers: Sequence[int]) -> bytes:
    """What UNCHANGEDSINCE kept back: uids for UID STORE, sequence numbers for STORE; ascending."""
    return b"MODIFIED " + format_set(numbers)


def highestmodseq(modseq: int) -> bytes:
    return b"HIGHESTMODSEQ %d" % modseq


def inprogress(tag: str, done: int, goal: int) -> bytes:
    """How far a command is (RFC 9585 §4.1); 0 for what is not known."""
    # The tag must not end the response code.
    quoted = b"NIL" if "]" in tag else b'"' + tag.encode("ascii") + b'"'
    numbers = b"%d %s" % (done, b"%d" % goal if goal else b"NIL") if done else b"NIL NIL"
    return b"INPROGRESS (" + quoted + b" " + numbers + b")"


def metadata_longentries(octets: int) -> bytes:
    """The largest value that was left out (RFC 5464 §4.2.1)."""
    return b"METADATA LONGENTRIES %d" % octets


def metadata_maxsize(octets: int) -> bytes:
    """The largest value that an entry can have (RFC 5464 §4.3)."""
    return b"METADATA MAXSIZE %d" % octets


def mailboxid(objectid: str) -> bytes:
    """RFC 8474 §4"""
    return b"MAILBOXID (%b)" % objectid.encode("ascii")


def noupdate(tag: str) -> bytes:
    """RFC 5267 §4.3.1"""
    return b'NOUPDATE "%b"' % tag.encode("ascii")


def undefined_filter(name: str) -> bytes:
    """RFC 5466 §3.1"""
    return b"UNDEFINED-FILTER " + name.encode("ascii")


def permanentflags(flags: tuple[str, ...]) -> bytes:
    return b"PERMANENTFLAGS " + strings.flag_list(flags)


def uidnext(uid: int) -> bytes:
    return b"UIDNEXT %d" % uid


def uidvalidity(value: int) -> bytes:
    return b"UIDVALIDITY %d" % value


def unseen(number: int) -> bytes:
    """The sequence number of the first message without \\Seen (RFC 3501 only)."""
    return b"UNSEEN %d" % number


def capability(names: Sequence[str]) -> bytes:
    return b"CAPABILITY " + " ".join(names).encode("ascii")
