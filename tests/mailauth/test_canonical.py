"""Canonical forms: the RFC's examples, and the same as dkimpy for whatever comes."""

from __future__ import annotations

import pytest
from dkim.canonicalization import Relaxed, Simple
from hypothesis import given
from hypothesis import strategies as st

from mox.mailauth.canonical import BodyCanonicalizer, Canonicalization, canonical_field

SIMPLE, RELAXED = Canonicalization.SIMPLE, Canonicalization.RELAXED
BOTH = (SIMPLE, RELAXED)
_ORACLES = {SIMPLE: Simple, RELAXED: Relaxed}

_PIECES = st.sampled_from([b"\n", b" ", b"\t", b"a", b"  ", b"\n\n", b" \n", b"=20", b"\xc3\xa4"])
_BODIES = st.lists(_PIECES, max_size=40).map(b"".join)


def canonical(body: bytes, algorithm: Canonicalization, size: int = 0, wire: bool = False) -> bytes:
    canonicalizer = BodyCanonicalizer(algorithm, wire=wire)
    parts = []
    for at in range(0, len(body), size or len(body) or 1):
        parts += canonicalizer.feed(body[at : at + (size or len(body))])
    return b"".join([*parts, *canonicalizer.finish()])


def test_bodies_of_the_rfc() -> None:
    # RFC 6376 §3.4.5
    body = b" C \nD \t E\n\n\n"
    assert canonical(body, RELAXED) == b" C\r\nD E\r\n"
    assert canonical(body, SIMPLE) == b" C \r\nD \t E\r\n"


def test_fields_of_the_rfc() -> None:
    # RFC 6376 §3.4.5
    assert canonical_field(b"A: X", RELAXED) == b"a:X"
    assert canonical_field(b"B : Y\t\n\tZ  ", RELAXED) == b"b:Y Z"
    assert canonical_field(b"A: X", SIMPLE) == b"A: X"
    assert canonical_field(b"B : Y\t\n\tZ  ", SIMPLE) == b"B : Y\t\r\n\tZ  "


@pytest.mark.parametrize(
    ("body", "simple", "relaxed"),
    [
        (b"", b"\r\n", b""),
        (b"\n", b"\r\n", b""),
        (b"\n\n\n", b"\r\n", b""),
        (b" \n\t\n", b" \r\n\t\r\n", b""),
        (b"a", b"a\r\n", b"a\r\n"),
        (b"a\n\n", b"a\r\n", b"a\r\n"),
        (b"\na", b"\r\na\r\n", b"\r\na\r\n"),
        (b"a \n \n", b"a \r\n \r\n", b"a\r\n"),
        (b"a ", b"a \r\n", b"a\r\n"),
        (b"a\n ", b"a\r\n \r\n", b"a\r\n"),
        (b" \t a", b" \t a\r\n", b" a\r\n"),
    ],
)
def test_ends_of_bodies(body: bytes, simple: bytes, relaxed: bytes) -> None:
    assert canonical(body, SIMPLE) == simple
    assert canonical(body, RELAXED) == relaxed


@pytest.mark.parametrize("algorithm", BOTH)
@given(body=_BODIES)
def test_body_is_the_same_as_dkimpy_makes_it(algorithm: Canonicalization, body: bytes) -> None:
    # What comes after the last line end is not a line yet for dkimpy: it keeps blanks there.
    if not body.endswith(b"\n"):
        body = body.rstrip(b" \t")
    wire = body.replace(b"\n", b"\r\n")
    assert canonical(body, algorithm) == _ORACLES[algorithm].canonicalize_body(wire)


@pytest.mark.parametrize("algorithm", BOTH)
@given(body=_BODIES, size=st.integers(1, 7))
def test_pieces_make_no_difference(algorithm: Canonicalization, body: bytes, size: int) -> None:
    assert canonical(body, algorithm, size) == canonical(body, algorithm)


@pytest.mark.parametrize("algorithm", BOTH)
@given(body=_BODIES, size=st.integers(1, 7))
def test_wire_form_makes_no_difference(algorithm: Canonicalization, body: bytes, size: int) -> None:
    wire = body.replace(b"\n", b"\r\n")
    assert canonical(wire, algorithm, size, wire=True) == canonical(body, algorithm)


@given(octets=st.binary(max_size=60), size=st.integers(1, 9))
def test_any_octets_in_pieces(octets: bytes, size: int) -> None:
    for algorithm in BOTH:
        for wire in (False, True):
            whole = canonical(octets, algorithm, wire=wire)
            assert canonical(octets, algorithm, size, wire=wire) == whole


_VALUES = st.lists(
    st.sampled_from([b" ", b"\t", b"x", b"Y", b"\n ", b"\n\t", b":", b";", b"\xff"]), max_size=30
).map(b"".join)


@given(name=st.sampled_from([b"Subject", b"from ", b"X-y\t"]), value=_VALUES)
def test_field_is_the_same_as_dkimpy_makes_it(name: bytes, value: bytes) -> None:
    wire = value.replace(b"\n", b"\r\n")
    [(relaxed_name, relaxed_value)] = Relaxed.canonicalize_headers([(name, wire)])
    field = name + b":" + value
    assert canonical_field(field, RELAXED) + b"\r\n" == relaxed_name + b":" + relaxed_value
    assert canonical_field(field, SIMPLE) == name + b":" + wire


@pytest.mark.parametrize(
    "body",
    [
        b" " * 500_000 + b"x\n",
        (b" " * 100_000 + b"x\n") * 5,
        b"\n" * 500_000 + b"x",
        b" \n" * 250_000 + b"x",
        b"x " * 250_000,
        (b"  x" + b" " * 61) * 8_000,
    ],
    ids=["blanks", "lines of blanks", "line ends", "empty lines", "words", "runs"],
)
@pytest.mark.timeout(30)
def test_no_body_takes_quadratic_time(body: bytes) -> None:
    """In linear time this takes well below a second, in quadratic time hours."""
    for algorithm in BOTH:
        assert canonical(body * 8, algorithm, 1 << 16).endswith(b"\r\n")


@pytest.mark.timeout(30)
def test_no_field_takes_quadratic_time() -> None:
    field = b"X:" + b" " * 1_000_000 + b"y" + b" \t" * 500_000 + b"z"
    assert canonical_field(field, RELAXED) == b"x:y z"
