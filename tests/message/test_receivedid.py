from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.errors import UserError
from mox.message.receivedid import ReceivedIds

IDS = ReceivedIds(b"0123456701234567" + b"01234567")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1, "nLDpV_E0im9f-53GHgDAOA"),
        (2, "DwP6dXxYa1uiRFsx7sb_6A"),
        (1000, "ndYsZAxFfsdXl1jtPr0ewg"),
    ],
)
def test_vectors(number: int, text: str) -> None:
    assert IDS.encode(number) == text
    assert IDS.decode(text) == number


@given(st.integers(0, 2**64 - 1))
def test_numbers_are_recovered(number: int) -> None:
    assert IDS.decode(IDS.encode(number)) == number
    assert ReceivedIds(bytes(24)).decode(IDS.encode(number)) is None


@pytest.mark.parametrize("text", ["", "x", "nLDpV_E0im9f-53GHgDAO!", "é" * 22, "A" * 22])
def test_other_ids_are_not_ours(text: str) -> None:
    assert IDS.decode(text) is None


def test_secret_has_its_length() -> None:
    with pytest.raises(UserError):
        ReceivedIds(b"short")
