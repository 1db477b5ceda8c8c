"""One large mailbox: reading, searching, changing, and catching up with it."""

from __future__ import annotations

import re
import time
from functools import partial

from tests.bench.clients import IMAP, messages
from tests.bench.scenarios import report, timed
from tests.support.server import Server

OVERVIEW = b"(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)"
BIG = b"Archive"
# Subject and body of the messages have these; what is searched for in bodies is in all of them.
SEARCHES = (
    b"UNSEEN",
    b"FLAGGED",
    b"SINCE 1-Jan-2026 LARGER 1000",
    b"FROM bench",
    b'SUBJECT "message 77"',
    b"HEADER MESSAGE-ID 77.bench",
)
TEXT_SEARCHES = (b'BODY "lazy dog"', b"BODY nowhere", b'TEXT "message 77"')
MOST = 10_000


def fill(server: Server, count: int) -> None:
    """A mailbox of `count` messages: a thousand different ones, then copies of them."""
    client = IMAP(server.imap)
    source = messages(5000)
    start = time.perf_counter()
    for _ in range(1000):
        client.append(next(source), BIG)
    client.command(b"SELECT " + BIG)
    for _ in range(count // 1000 - 1):
        client.command(b"COPY 1:1000 " + BIG)
    seconds = time.perf_counter() - start
    report(f"filling a mailbox with {count} by APPEND and COPY", seconds, "s")


def read(server: Server, count: int) -> None:
    client = IMAP(server.imap)
    name = f"{count} messages: "
    commands = [
        (b"SELECT " + BIG, 3),
        (b"FETCH 1:* (UID FLAGS)", 3),
        (b"FETCH 1:* " + OVERVIEW, 3),
        (b"FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])", 1),
        *((b"SEARCH " + key, 3) for key in SEARCHES),
        *((b"SEARCH 1:5000 " + key, 3) for key in TEXT_SEARCHES),
        (b"SORT (SUBJECT) UTF-8 ALL", 1),
        (b"THREAD REFERENCES UTF-8 ALL", 1),
    ]
    for command, times in commands:
        report(name + command.decode(), timed(partial(client.command, command), times), "ms")
    bodies = timed(lambda: client.command(b"FETCH 1:1000 (BODY.PEEK[])"))
    report("FETCH 1:1000 (BODY.PEEK[]) of 5 KB", 1000 / bodies * 1000, "msg/s")


def change(server: Server, count: int) -> None:
    client = IMAP(server.imap)
    selected = client.command(b"SELECT " + BIG)
    start = time.perf_counter()
    for number in range(1, 301):
        client.command(b"STORE %d +FLAGS (\\Flagged)" % number)
    report("STORE of one message", 300 / (time.perf_counter() - start), "cmd/s")
    catch_up(server, client, selected)
    some = min(MOST, count // 2)
    for sign in (b"+", b"-"):
        command = b"STORE 1:%d %sFLAGS.SILENT (\\Answered)" % (some, sign)
        _once(client, command)
    client.command(b"CREATE Moved")
    _once(client, b"COPY 1:%d Moved" % some)
    _once(client, b"MOVE 1:%d Moved" % some)
    client.command(b"SELECT Moved")
    client.command(b"STORE 1:%d +FLAGS.SILENT (\\Deleted)" % some)
    _once(client, b"EXPUNGE", f" of {some}")


def catch_up(server: Server, client: IMAP, selected: bytes) -> None:
    """QRESYNC after a hundred changes, from what `selected` told (RFC 7162)."""
    uidvalidity, modseq = (
        re.search(word + rb" (\d+)", selected) for word in (b"UIDVALIDITY", b"HIGHESTMODSEQ")
    )
    assert uidvalidity is not None
    assert modseq is not None
    client.command(b"STORE 1001:1050 +FLAGS.SILENT (\\Draft)")
    client.command(b"STORE 2001:2050 +FLAGS.SILENT (\\Deleted)")
    client.command(b"EXPUNGE")
    other = IMAP(server.imap)
    other.command(b"ENABLE QRESYNC")
    command = b"SELECT %s (QRESYNC (%s %s))" % (BIG, uidvalidity[1], modseq[1])
    _once(other, command, " after 400 changes")


def _once(client: IMAP, command: bytes, note: str = "") -> None:
    report(command.decode() + note, timed(partial(client.command, command), 1), "ms")
