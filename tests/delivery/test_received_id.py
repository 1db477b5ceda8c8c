from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.delivery import received_id
from mox.delivery.received_id import ReceivedIds
from mox.errors import UserError

IDS = ReceivedIds(b"012345670123456701234567")


@pytest.mark.parametrize(
    ("cid", "text"),
    [
        (1, "nLDpV_E0im9f-53GHgDAOA"),
        (2, "DwP6dXxYa1uiRFsx7sb_6A"),
        (1000, "ndYsZAxFfsdXl1jtPr0ewg"),
    ],
)
def test_known_ids(cid: int, text: str) -> None:
    assert IDS.encode(cid) == text
    assert IDS.decode(text) == cid


@given(st.integers(0, 2**64 - 1))
def test_ids_lead_back_to_the_number(cid: int) -> None:
    assert IDS.decode(IDS.encode(cid)) == cid


@given(st.text(max_size=40))
def test_foreign_text_is_refused(text: str) -> None:
    with pytest.raises(UserError):
        IDS.decode(text)


def test_key_is_made_once(tmp_path: Path) -> None:
    first = received_id.load(tmp_path)
    assert received_id.load(tmp_path).encode(7) == first.encode(7)
    assert [p.name for p in tmp_path.iterdir()] == ["receivedid.key"]
    assert (tmp_path / "receivedid.key").stat().st_mode & 0o777 == 0o600


def test_short_key_is_an_error() -> None:
    with pytest.raises(ValueError, match="24 octets"):
        ReceivedIds(b"short")
