from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.imap import responses
from mox.imap.events import BadCommand
from mox.imap.metadata import (
    Depth,
    Entries,
    EntryError,
    GetMetadata,
    SetMetadata,
    Value,
    normal_entry,
    normal_pattern,
)
from tests.imap.drive import command, outcome


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # RFC 5464 §4.2
        ('GETMETADATA "" /shared/comment', GetMetadata("t", "", Entries(("/shared/comment",)))),
        (
            'GETMETADATA "INBOX" (/shared/comment /private/comment)',
            GetMetadata("t", "INBOX", Entries(("/shared/comment", "/private/comment"))),
        ),
        # RFC 5464 §4.2.1
        (
            'GETMETADATA (MAXSIZE 1024) "INBOX" (/shared/comment)',
            GetMetadata("t", "INBOX", Entries(("/shared/comment",), max_size=1024)),
        ),
        # RFC 5464 §4.2.2
        (
            'GETMETADATA (DEPTH 1) "INBOX" (/private/filters/values)',
            GetMetadata("t", "INBOX", Entries(("/private/filters/values",), Depth.ONE)),
        ),
        (
            "getmetadata (depth infinity maxsize 2) inbox (/)",
            GetMetadata("t", "INBOX", Entries(("",), Depth.INFINITY, 2)),
        ),
        # RFC 5464 §4.3
        (
            'SETMETADATA INBOX (/private/comment "My comment" /shared/comment NIL)',
            SetMetadata(
                "t",
                "INBOX",
                (("/private/comment", Value(b"My comment")), ("/shared/comment", None)),
            ),
        ),
        (
            b"SETMETADATA INBOX (/private/comment {33+}\r\nMy new comment across\r\ntwo lines.)",
            SetMetadata(
                "t",
                "INBOX",
                (("/private/comment", Value(b"My new comment across\r\ntwo lines.")),),
            ),
        ),
        (
            b'SETMETADATA "" (/shared/x ~{3+}\r\na\0b)',
            SetMetadata("t", "", (("/shared/x", Value(b"a\0b", True)),)),
        ),
    ],
)
def test_commands(line: str | bytes, expected: object) -> None:
    assert command(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "getmetadata inbox",
        "getmetadata inbox ()",
        "getmetadata inbox /comment",
        "getmetadata (depth 2) inbox /shared/comment",
        "getmetadata (maxsize) inbox /shared/comment",
        "getmetadata () inbox /shared/comment",
        f"getmetadata inbox ({' '.join(f'/shared/{n}' for n in range(101))})",
        "setmetadata inbox ()",
        "setmetadata inbox (/shared/comment)",
        "setmetadata inbox /shared/comment x",
        "setmetadata inbox (/shared/comment atom)",
    ],
)
def test_malformed_commands(line: str) -> None:
    assert isinstance(outcome(line), BadCommand)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/shared/comment", "/shared/comment"),
        ("/Private/COMMENT", "/private/comment"),
        ("/private/vendor/cmu/cyrus-imapd/color", "/private/vendor/cmu/cyrus-imapd/color"),
        ("/private/filters/values/a b", "/private/filters/values/a b"),
        ("/shared", None),
        ("/shared/", None),
        ("/comment", None),
        ("shared/comment", None),
        ("/shared//comment", None),
        ("/shared/comment/", None),
        ("/shared/co*ment", None),
        ("/shared/co%ment", None),
        ("/shared/é", None),
        ("/shared/a\tb", None),
        ("/private/vendor/cmu", None),
        ("/shared/" + "x" * 255, None),
        ("", None),
    ],
)
def test_names_of_entries(name: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(EntryError):
            normal_entry(name)
    else:
        assert normal_entry(name) == expected


@given(st.text(max_size=40))
def test_any_text_is_an_entry_or_an_entry_error(name: str) -> None:
    for check in (normal_entry, normal_pattern):
        try:
            assert check(name).isascii()
        except EntryError:
            continue


EXISTING = ("/private/a", "/private/a/b", "/private/a/b/c", "/private/ab", "/shared/a")


@pytest.mark.parametrize(
    ("names", "depth", "expected"),
    [
        (("/private/a",), Depth.NONE, "/private/a"),
        (("/private/a",), Depth.ONE, "/private/a /private/a/b"),
        (("/private/a",), Depth.INFINITY, "/private/a /private/a/b /private/a/b/c"),
        (("/private",), Depth.ONE, "/private/a /private/ab"),
        (("",), Depth.INFINITY, " ".join(EXISTING)),
        (("",), Depth.ONE, ""),
        (("/private/a/b", "/shared"), Depth.ONE, "/private/a/b /private/a/b/c /shared/a"),
    ],
)
def test_depth(names: tuple[str, ...], depth: Depth, expected: str) -> None:
    assert Entries(names, depth).chosen(reversed(EXISTING)) == expected.split()


def test_responses() -> None:
    assert responses.metadata("INBOX", [("/shared/comment", Value(b"Shared comment"))]) == (
        b'* METADATA INBOX (/shared/comment "Shared comment")\r\n'
    )
    assert responses.metadata("", [("/private/a b", None), ("/shared/x", Value(b"\0", True))]) == (
        b'* METADATA "" ("/private/a b" NIL /shared/x ~{1}\r\n\0)\r\n'
    )
    # RFC 5464 §4.4.2
    assert responses.metadata_changed("", ["/shared/comment"]) == (
        b'* METADATA "" /shared/comment\r\n'
    )
    assert responses.metadata_changed("INBOX", ["/shared/comment", "/private/comment"]) == (
        b"* METADATA INBOX /shared/comment /private/comment\r\n"
    )
