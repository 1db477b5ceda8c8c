from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mox.serving.pieces import PIECE_BYTES, pieces

SIZES = st.one_of(
    st.integers(0, 100), st.integers(PIECE_BYTES - 3, PIECE_BYTES + 3), st.just(200_000)
)


@given(st.lists(SIZES, max_size=12))
def test_pieces_are_all_and_in_order_and_bounded(sizes: list[int]) -> None:
    items = [bytes([n % 251]) * size for n, size in enumerate(sizes)]
    found = list(pieces(items))
    assert b"".join(found) == b"".join(items)
    assert all(len(piece) <= PIECE_BYTES for piece in found)


def test_one_small_item_is_not_copied() -> None:
    data = b"250 ok\r\n"
    assert next(pieces(data)) is data


def test_small_items_are_joined() -> None:
    assert list(pieces([b"a", memoryview(b"b"), b"c"])) == [b"abc"]
