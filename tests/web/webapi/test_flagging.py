"""Flags as names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.errors import UserError
from mox.store.model import Flag
from mox.web.webapi.flagging import parse_flags, shown_flags


def test_system_flags_and_keywords_are_told_apart_in_any_case() -> None:
    names = ["\\Seen", "$FORWARDED", "$Junk", "Custom", "custom"]
    assert parse_flags(names, pedantic=False) == (
        Flag.SEEN | Flag.FORWARDED,
        ("$Junk", "custom"),
    )


def test_a_keyword_twice_is_an_error_where_all_is_checked() -> None:
    with pytest.raises(UserError, match="duplicate keyword custom"):
        parse_flags(["Custom", "custom"], pedantic=True)
    assert parse_flags(["\\Seen", "\\seen"], pedantic=True) == (Flag.SEEN, ())


def test_well_known_flags_come_first() -> None:
    keywords = ("zebra", "$NotJunk", "apple", "$Phishing")
    assert shown_flags(Flag.SEEN | Flag.ANSWERED, 0b1111, keywords) == (
        "$notjunk",
        "$phishing",
        "\\answered",
        "\\seen",
        "apple",
        "zebra",
    )
    assert shown_flags(0, 0b100, keywords) == ("apple",)


@given(st.lists(st.text(max_size=5), max_size=4))
def test_any_names_are_flags_or_an_error(names: list[str]) -> None:
    try:
        flags, keywords = parse_flags(names, pedantic=False)
    except UserError:
        return
    shown = shown_flags(flags, (1 << len(keywords)) - 1, keywords)
    assert set(shown) == {name.lower() for name in names}
