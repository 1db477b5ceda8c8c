from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.imap.utf7 import Utf7Error, decode, encode

# Examples of RFC 3501 §5.1.3 first.
PAIRS = [
    ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
    ("☺!", b"&Jjo-!"),
    ("Jjo", b"Jjo"),
    ("&", b"&-"),
    ("a&b", b"a&-b"),
    ("&é", b"&-&AOk-"),
    ("raw é", b"raw &AOk-"),
    ("😀", b"&2D3eAA-"),
    ("tab\t", b"tab&AAk-"),
    ("Entwürfe & mehr", b"Entw&APw-rfe &- mehr"),
]


@pytest.mark.parametrize(("name", "raw"), PAIRS)
def test_names_travel_both_ways(name, raw):
    assert encode(name) == raw
    assert decode(raw) == name


@pytest.mark.parametrize(
    "raw",
    [
        b"&",  # unfinished
        b"&AOk",
        b"a&AOk",
        b"&AO-",  # half a code unit
        b"&A-",
        b"&AOk=-",
        b"&AO/k-",
        b"&AGE-",  # printable ASCII
        b"&AOkAYQ-",
        b"&AOk-&AOk-",  # two shifts in a row
        b"&2D0-",  # broken surrogates
        b"&3gDYPQ-",
        b"&AOl-",  # stray bits
        b"\xc3\xa9",
        b"&\xff-",
    ],
)
def test_other_spellings_are_refused(raw):
    with pytest.raises(Utf7Error):
        decode(raw)


def test_bare_control_characters_pass():
    # The store refuses such names, with a better reason than a syntax error.
    assert decode(b"a\tb\x7f") == "a\tb\x7f"


def test_shifted_ampersand_is_accepted():
    assert decode(b"&ACY-") == "&"


def test_lone_surrogate_does_not_raise():
    assert encode("a\udc80") == b"a?"


@given(st.text())
def test_round_trip(name):
    assert decode(encode(name)) == name


@given(st.binary(max_size=60))
def test_decode_raises_only_its_own_error(raw):
    try:
        name = decode(raw)
    except Utf7Error:
        return
    assert decode(encode(name)) == name


@given(st.text(alphabet="&-AOk,+/=2D3e ", max_size=20))
def test_decode_of_near_misses_is_canonical(text):
    raw = text.encode()
    try:
        name = decode(raw)
    except Utf7Error:
        return
    # Only the shifted ampersand has a second spelling.
    assert encode(name) == raw or b"ACY" in raw or "&" in name


def test_large_input_is_linear():
    with pytest.raises(Utf7Error):
        decode(b"&" * 1_000_000)
    assert decode(b"&-" * 500_000) == "&" * 500_000
