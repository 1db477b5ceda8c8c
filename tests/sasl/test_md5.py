from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from mox.sasl.md5 import BLOCK, INITIAL_STATE, compress, digest_from


def md5(data: bytes) -> bytes:
    return hashlib.md5(data).digest()


@given(st.binary(max_size=300))
def test_whole_messages(data: bytes) -> None:
    assert digest_from(INITIAL_STATE, 0, data) == md5(data)


@given(st.binary(min_size=BLOCK, max_size=BLOCK), st.binary(max_size=200))
def test_going_on_from_a_state(block: bytes, rest: bytes) -> None:
    assert digest_from(compress(INITIAL_STATE, block), BLOCK, rest) == md5(block + rest)


def test_all_paddings() -> None:
    for size in range(130):
        assert digest_from(INITIAL_STATE, 0, b"x" * size) == md5(b"x" * size)
