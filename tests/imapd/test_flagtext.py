from __future__ import annotations

from mox.imapd.flagtext import KEYWORD_SHIFT, RECENT, FlagTexts, all_flags, split_flags
from mox.store.model import Flag


def test_texts() -> None:
    texts = FlagTexts(("todo", "$Junk"))
    assert texts[0] == b"()"
    assert texts[Flag.SEEN | Flag.FORWARDED | RECENT] == b"(\\Seen $Forwarded \\Recent)"
    assert texts[Flag.DRAFT | 0b10 << KEYWORD_SHIFT] == b"(\\Draft $Junk)"


def test_column_ignores_the_bits_that_are_the_stores_own() -> None:
    records = [(uid, 0, 1, 0, 0, 0, 0, 0, 0x8000 | Flag.SEEN, 0) for uid in (4, 5)]
    assert FlagTexts(("todo",)).column(records, 5) == [b"(\\Seen todo)", b"(\\Seen \\Recent todo)"]


def test_texts_stay_bounded() -> None:
    texts = FlagTexts(tuple(f"k{n}" for n in range(20)))
    for bits in range(10_000):
        assert texts[bits << KEYWORD_SHIFT].count(b"k") == bits.bit_count()
    assert len(texts) <= 4096


def test_split_and_all() -> None:
    assert split_flags(("\\SEEN", "$forwarded", "Todo", "\\Draft")) == (
        Flag.SEEN | Flag.FORWARDED | Flag.DRAFT,
        ("Todo",),
    )
    assert all_flags(("x",))[-2:] == ("$Forwarded", "x")
