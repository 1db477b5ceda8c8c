"""The protocol core under input that nobody would send: events or its own errors, nothing else.

`make fuzz` draws a hundred times the examples, and lets atheris look for others (tests/fuzz).
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.imap.commands import Noop, label
from mox.imap.events import BadCommand, CommandReady, Event
from mox.imap.framing import Reader
from mox.imap.grammar.append import UPLOADS
from mox.imap.grammar.command import COMMANDS
from mox.imap.limits import LIMITS, Limits
from mox.imap.state import ALLOWED
from tests.imap.drive import WAITING, joined, pieces_of

_NAMES = [*COMMANDS, *UPLOADS, *(f"UID {name}" for name in ("FETCH", "STORE", "SEARCH", "COPY"))]
_WORDS = (
    *(
        "1",
        "0",
        "*",
        "1:*",
        "4294967295",
        "99999999999999999999",
        "2,4:7,9:*",
        "$",
        "1:2:3",
        "-1:-5",
    ),
    *(
        "(",
        ")",
        "()",
        "((",
        "[",
        "]",
        "[]",
        "<0.5>",
        "{",
        "}",
        '"',
        '""',
        '"a\\"b"',
        '"a\\b"',
        "\\",
    ),
    *(
        "\\Seen",
        "\\Deleted",
        "(\\Seen $x)",
        "+FLAGS",
        "-FLAGS.SILENT",
        "FLAGS",
        "NIL",
        "nil",
        "%",
        "*",
    ),
    *("inbox", '"a/b"', "&AOk-", "&", "&-", "&AOk", '"é"', "INBOX/x", "{3+}\r\nabc", "{3}\r\nabc"),
    *(
        "~{3+}\r\na\0b",
        "~{0+}\r\n",
        "{0+}\r\n",
        "{99999999999}",
        "{99999999999+}",
        "{3+}\r\n\0\0\0",
    ),
    *("(FLAGS UID)", "BODY[]", "BODY.PEEK[1.2.MIME]", "BODY[HEADER.FIELDS (a)]<1.2>", "BINARY[1]"),
    *("ALL", "FULL", "NOT", "OR", "OR NOT", "HEADER", "KEYWORD", "SINCE", "1-Jan-2026", "UNDRAFT"),
    *("RETURN", "(MIN MAX)", "(ALL SAVE)", "CHARSET", "UTF-8", "(PARTIAL 1:5)", "LARGER", "FUZZY"),
    *(
        "(CHANGEDSINCE 5)",
        "(UNCHANGEDSINCE 1)",
        "(QRESYNC (1 2 3:4 (5 6)))",
        "(CONDSTORE)",
        "VANISHED",
    ),
    *(
        "(SUBSCRIBED)",
        "(STATUS (MESSAGES))",
        "(METADATA (/shared/x))",
        "(USE (\\Sent))",
        "MYRIGHTS",
    ),
    *("SET", "NONE", "STATUS", "(SELECTED (MessageNew (UID) MessageExpunge))", "(PERSONAL NONE)"),
    *(
        "CATENATE",
        "(URL x TEXT {1+}\r\na)",
        "(TEXT {2}\r\nab",
        "URL",
        "TEXT",
        "UTF8",
        "UTF8 (~{1+}\r\na)",
    ),
    *("/shared/comment", "(/private/a NIL)", "(DEPTH 1)", "(MAXSIZE 9)", "DEFLATE", "(STORAGE 5)"),
    *(
        '" 1-Jan-2026 10:00:00 +0100"',
        "=",
        "bWpsAA==",
        "PLAIN",
        "SCRAM-SHA-256",
        "lrs",
        "+lr",
        "\0",
    ),
    *("(REVERSE DATE)", "REFERENCES", "(SUBTREE a)", "IN", "\x7f", "\xff", " ", "\t", "a" * 300),
)

words = st.lists(st.sampled_from(_WORDS) | st.text(max_size=6), max_size=8)
lines = st.builds(
    lambda tag, name, rest: " ".join([tag, name, *rest]),
    st.sampled_from(["a", "a1", "+", "*", "", "a b", "A" * 300]),
    st.sampled_from(_NAMES) | st.sampled_from(["", "FROB", "UID", "UID REPLACE"]),
    words,
)
sessions = st.lists(lines, min_size=1, max_size=5).map(
    lambda found: "".join(line + "\r\n" for line in found).encode("utf-8", "surrogateescape")
)


def events_of(data: bytes, size: int, *, utf8: bool, refusals: int = 0) -> list[Event]:
    """All events; of those that wait, those whose bit is set in `refusals` are refused."""
    reader = Reader(LIMITS, utf8=utf8)
    events: list[Event] = []
    waits = 0
    for piece in pieces_of(data, size):
        reader.feed(piece)
        while (event := reader.next_event()) is not None:
            events.append(event)
            if isinstance(event, WAITING):
                if refusals >> waits & 1:
                    reader.refuse_literal()
                else:
                    reader.accept_literal()
                waits += 1
    return events


@given(sessions, st.booleans())
def test_any_session_is_read_the_same_in_pieces(data: bytes, utf8: bool) -> None:
    whole = joined(events_of(data, len(data), utf8=utf8))
    for size in (1, 7):
        assert joined(events_of(data, size, utf8=utf8)) == whole
    for event in whole:
        if isinstance(event, CommandReady):
            assert label(event.command)
            assert any(event.command.name in names for names in ALLOWED.values())


@given(sessions, st.integers(0, 255))
def test_refusals_leave_a_reader_that_goes_on(data: bytes, refusals: int) -> None:
    events = events_of(data + b"\r\nz NOOP\r\n", 64, utf8=False, refusals=refusals)
    if b"{" not in data:
        # No literal can have taken it in.
        assert events[-1] == CommandReady(Noop("z"))


@given(st.binary(max_size=400), st.integers(1, 50))
def test_any_octets(data: bytes, size: int) -> None:
    events_of(data, size, utf8=False)
    events_of(b"a fetch " + data + b"\r\n", size, utf8=True)
    events_of(b"a search " + data + b"\r\n", size, utf8=True)


# ---- hostile sizes: each as large as the limits let it be; a quadratic reading would not end

_HUGE = 60_000


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "line",
    [
        "a fetch " + "1," * (_HUGE // 2) + "1 flags",
        "a uid fetch " + ",".join(f"{n}:{n + 1}" for n in range(1, 15_000, 3))[:_HUGE] + " flags",
        "a search " + "(" * _HUGE,
        "a search " + "(" * 60 + "all" + ")" * 60,
        "a search " + "not " * (_HUGE // 4) + "all",
        "a search " + "or all " * (_HUGE // 8) + "all",
        "a search " + "all " * (_HUGE // 4),
        'a search subject "' + "\\\\" * (_HUGE // 2) + '"',
        'a search subject "' + "\\" * _HUGE,
        "a fetch 1 body[" + "1." * (_HUGE // 2) + "1]",
        "a fetch 1 (" + "flags " * (_HUGE // 6) + "uid)",
        "a fetch 1 body[header.fields (" + "x " * (_HUGE // 2) + "y)]",
        "a list " + '"" (' + "* " * (_HUGE // 2) + "%)",
        'a list "" "' + "*%" * (_HUGE // 2) + '"',
        "a id (" + '"a" "b" ' * (_HUGE // 8) + '"c" "d")',
        "a notify set " + "(personal none) " * (_HUGE // 16) + "(personal none)",
        "a notify set (mailboxes (" + "a " * (_HUGE // 2) + "b) none)",
        "a setmetadata inbox (" + "/shared/a nil " * (_HUGE // 14) + "/shared/b nil)",
        "a getmetadata inbox (" + "/shared" + "/a" * (_HUGE // 2) + ")",
        "a append x catenate (" + "url x " * (_HUGE // 6) + "url y)",
        "a append x (" + "\\Seen " * (_HUGE // 6) + "x) {5}",
        "a store 1 flags (" + " ".join(f"k{n}" for n in range(9000)) + ")",
        "a enable " + "x " * (_HUGE // 2),
        "a login " + "x" * _HUGE + " y",
        "a create " + "&" * _HUGE,
        "a create " + "&AOk-" * (_HUGE // 5),
        "x" * _HUGE,
        " " * _HUGE,
        "a" + " " * _HUGE,
        "a noop" + " " * _HUGE,
    ],
    ids=lambda line: line[:30],
)
def test_large_lines_are_read_or_refused_at_once(line: str) -> None:
    for size in (len(line) + 2, 1000):
        events = events_of(line.encode() + b"\r\n", size, utf8=False)
        assert events


@pytest.mark.timeout(20)
def test_many_small_literals() -> None:
    data = b'a list "" (' + b" ".join([b"{1+}\r\nx"] * 999) + b")\r\n"
    (event,) = events_of(data, 1000, utf8=False)
    assert isinstance(event, BadCommand)  # more patterns than allowed
    data = b"a select" + b" {0+}\r\n" * 1001 + b"\r\n"
    assert isinstance(events_of(data, 10, utf8=False)[0], BadCommand)


@pytest.mark.timeout(20)
def test_many_commands_in_one_piece() -> None:
    data = b"a noop\r\n" * 20_000
    assert len(events_of(data, len(data), utf8=False)) == 20_000


def test_limits_can_be_as_low_as_can_be() -> None:
    reader = Reader(Limits(line=10, literal=1, literals=1, literal_count=1, swallow=0))
    reader.feed(b"a noop\r\nb list {1+}\r\nx {1+}\r\ny\r\n")
    assert isinstance(reader.next_event(), CommandReady)
    while reader.next_event() is not None:
        continue
