from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.imap import strings
from mox.imap.grammar.mailbox import canonical
from tests.imap.drive import command


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", b'""'),
        (b"abc d", b'"abc d"'),
        (b'a"b\\c', b'"a\\"b\\\\c"'),
        (b"a\tb\x7f", b'"a\tb\x7f"'),
        (b"a\r\nb", b"{4}\r\na\r\nb"),
        (b"a\0b", b"{3}\r\na\0b"),
        ("é".encode(), b"{2}\r\n\xc3\xa9"),
        (b"x" * 4096, b'"' + b"x" * 4096 + b'"'),
        (b"x" * 4097, b"{4097}\r\n" + b"x" * 4097),
    ],
)
def test_strings_are_quoted_when_possible(value, expected):
    assert strings.string(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("é".encode(), b'"\xc3\xa9"'),
        ('é"'.encode(), b'"\xc3\xa9\\""'),
        (b"\xe9", b"{1}\r\n\xe9"),
        ("é\n".encode(), b"{3}\r\n\xc3\xa9\n"),
    ],
)
def test_utf8_is_quoted_once_enabled(value, expected):
    assert strings.string(value, utf8=True) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"abc", b"abc"),
        (b"", b'""'),
        (b"nil", b'"nil"'),
        (b"a b", b'"a b"'),
        (b"a]", b'"a]"'),
        (b"a*", b'"a*"'),
        (b"a{3}", b'"a{3}"'),
    ],
)
def test_astrings_are_bare_when_nothing_is_special(value, expected):
    assert strings.astring(value) == expected


def test_nstring():
    assert strings.nstring(None) == b"NIL"
    assert strings.nstring(b"NIL") == b'"NIL"'


@pytest.mark.parametrize(
    ("name", "plain", "utf8"),
    [
        ("INBOX", b"INBOX", b"INBOX"),
        ("a b", b'"a b"', b'"a b"'),
        ("é", b"&AOk-", b'"\xc3\xa9"'),
        ("a&b", b"a&-b", b"a&b"),
        ("a\\b", b'"a\\\\b"', b'"a\\\\b"'),
        ("nil", b'"nil"', b'"nil"'),
    ],
)
def test_mailbox_names(name, plain, utf8):
    assert strings.mailbox(name) == plain
    assert strings.mailbox(name, utf8=True) == utf8


# What a client writes by the same rules, the grammar reads back; NUL may be in no string.
TEXT = st.text(max_size=60).filter(lambda value: "\0" not in value)


@given(TEXT, st.booleans())
def test_strings_are_read_back(value, utf8):
    raw = value.encode()
    for written in (strings.string(raw, utf8=utf8), strings.astring(raw, utf8=utf8)):
        assert command(b"getquota " + written).root == value


@given(TEXT, st.booleans())
def test_mailbox_names_are_read_back(name, utf8):
    written = strings.mailbox(name, utf8=utf8)
    assert command(b"delete " + written, utf8=utf8).mailbox == canonical(name)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("done", b"done"),
        ("", b"-"),
        ("[ALERT] x", b"ALERT] x"),
        ("a\r\nb OK x", b"a??b OK x"),
        ("é\0\x7f", b"???"),
    ],
)
def test_response_text_is_one_harmless_line(value, expected):
    assert strings.text(value) == expected
