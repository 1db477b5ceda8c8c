"""Names in Maildir: files, flag letters, folders."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.store import maildir
from mox.store.errors import ErrorKind, StoreError
from mox.store.model import Flag


@pytest.mark.parametrize(
    ("name", "directory"),
    [
        ("INBOX", ""),
        ("inbox/Sub", ".INBOX.Sub"),
        ("Archive/2026", ".Archive.2026"),
        ("example.org/a=b", ".example=2Eorg.a=3Db"),
        ("=2E", ".=3D2E"),
        ("Entwürfe", ".Entwürfe"),
        ("日本語/台北", ".日本語.台北"),
        ("with space & percent%", ".with space & percent%"),
        ("*%", ".*%"),
        ("cur", ".cur"),
    ],
)
def test_directory_of_a_mailbox_and_back(name: str, directory: str) -> None:
    normal = maildir.normal_name(name)
    assert maildir.directory_name(normal) == directory
    if directory:
        assert maildir.mailbox_of_directory(directory) == normal


@pytest.mark.parametrize(
    "name",
    [
        *("", "/a", "a/", "a//b", ".", "a/..", "#news", "a\x00", "a\n", "a\x85", "a\u2028b"),
        *("e\u0301", "x" * 300, "a/" * 200 + "a", "\ud800"),
    ],
)
def test_bad_mailbox_names_are_refused(name: str) -> None:
    with pytest.raises(StoreError) as caught:
        maildir.normal_name(name)
    assert caught.value.kind is ErrorKind.BAD_NAME


LEVEL = st.text(min_size=1, max_size=12).map(lambda s: unicodedata.normalize("NFC", s))


@given(st.lists(LEVEL, min_size=1, max_size=4).map("/".join))
def test_any_accepted_name_round_trips(name: str) -> None:
    try:
        normal = maildir.normal_name(name)
    except StoreError:
        return
    entry = maildir.directory_name(normal)
    assert "/" not in entry
    if entry:
        assert maildir.mailbox_of_directory(entry) == normal


@given(st.text(max_size=40))
def test_any_directory_entry_is_a_mailbox_of_that_name_or_none(entry: str) -> None:
    name = maildir.mailbox_of_directory(entry)
    assert name is None or maildir.directory_name(name) == entry


@given(st.integers(0, 63), st.integers(0, (1 << 26) - 1))
def test_letters_show_all_flags_in_ascii_order(flags: int, keywords: int) -> None:
    text = maildir.letters(flags, keywords)
    assert list(text) == sorted(text)
    assert maildir.parse_letters(text) == (flags, keywords)


def test_letters_of_keywords_beyond_the_26th_do_not_exist() -> None:
    assert maildir.letters(Flag.SEEN, 1 << 26 | 1 << 63) == "S"


@pytest.mark.parametrize(
    ("name", "base", "letters"),
    [
        ("1.2.h,S=3:2,FS", "1.2.h,S=3", "FS"),
        ("1.2.h", "1.2.h", ""),
        ("1.2.h:2,", "1.2.h", ""),
        ("1.2.h:1,xyz", "1.2.h", ""),
        ("a:2,S:2,F", "a", "S:2,F"),
    ],
)
def test_file_names_split(name: str, base: str, letters: str) -> None:
    assert maildir.split_name(name) == (base, letters)


def test_names_are_unique_and_state_sizes() -> None:
    names = {maildir.base_name(10, 12) for _ in range(1000)}
    assert len(names) == 1000
    assert all(maildir.stated_size(name) == 10 for name in names)
    assert maildir.stated_size("1.2.host") is None


def test_keyword_file_round_trips_and_ignores_rubbish(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    maildir.write_keyword_file(str(tmp_path), ["$Junk", "todo"])
    path = tmp_path / maildir.KEYWORD_FILE
    path.write_bytes(path.read_bytes() + b"99 x\nno number\n3 bad word\n4 \xff\n")
    assert maildir.read_keyword_file(str(tmp_path)) == {0: "$Junk", 1: "todo"}


@pytest.mark.parametrize(("word", "good"), [("$Junk", True), ("a]b", False), ("a b", False)])
def test_keywords_are_atoms(word: str, good: bool) -> None:
    assert maildir.is_keyword(word) is good
    assert not maildir.is_keyword("x\n")
