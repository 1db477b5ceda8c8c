from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.imap.commands import CancelUpdate, Fetch, MultiSearch, Search, SearchReturn, Sort, Thread
from mox.imap.grammar.command import read_arguments
from mox.imap.grammar.cursor import CharsetFailure, Cursor, SyntaxFailure
from mox.imap.mailboxfilter import MailboxFilter, Scope
from mox.imap.searchcommands import Algorithm, Criterion, SortBy
from mox.imap.searchkeys import All, And, EmailId, Filter, Fuzzy, HasFlag, Header, Not
from tests.imap.drive import command

R = SearchReturn
UNSEEN = Not(HasFlag("\\Seen"))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # RFC 5256 §3
        (
            "sort (subject reverse date) utf-8 all",
            Sort("a", All(), (Criterion(SortBy.SUBJECT), Criterion(SortBy.DATE, True))),
        ),
        (
            "uid SORT (Size) US-ASCII unseen",
            Sort("a", UNSEEN, (Criterion(SortBy.SIZE),), True),
        ),
        ("thread orderedsubject utf-8 all", Thread("a", All(), Algorithm.ORDEREDSUBJECT)),
        ("uid thread references utf-8 all", Thread("a", All(), Algorithm.REFERENCES, True)),
        # RFC 5267 §3.3, §4.3.5
        (
            "uid sort return () (reverse date) utf-8 unseen",
            Sort("a", UNSEEN, (Criterion(SortBy.DATE, True),), True, frozenset({R.ALL})),
        ),
        ('cancelupdate "b1" c2', CancelUpdate("a", ("b1", "c2"))),
        # RFC 9394 §3.1
        (
            "search return (partial -1:-100 count) unseen",
            Search("a", UNSEEN, False, frozenset({R.PARTIAL, R.COUNT}), None, (-1, -100)),
        ),
        # RFC 6203 §3
        ("search fuzzy subject x", Search("a", Fuzzy(Header("subject", "x")))),
        (
            "search return (relevancy all) fuzzy all",
            Search("a", Fuzzy(All()), False, frozenset({R.RELEVANCY, R.ALL})),
        ),
        # RFC 5466 §3.1, RFC 8474 §5.3
        ("search unseen filter on-the-road", Search("a", And((UNSEEN, Filter("on-the-road"))))),
        ("search emailid M6d99ac3275bb4e", Search("a", EmailId("M6d99ac3275bb4e"))),
        # RFC 7377 §2, §3
        (
            'esearch in (mailboxes "folder1" subtree "folder2") unseen',
            MultiSearch(
                "a",
                UNSEEN,
                (
                    MailboxFilter(Scope.MAILBOXES, ("folder1",)),
                    MailboxFilter(Scope.SUBTREE, ("folder2",)),
                ),
                frozenset({R.ALL}),
            ),
        ),
        (
            "esearch return (min) all",
            MultiSearch("a", All(), (MailboxFilter(Scope.SELECTED),), frozenset({R.MIN})),
        ),
    ],
)
def test_commands(line: str, expected: object) -> None:
    found = command(line)
    assert type(found) is type(expected)
    fields = [name for name in type(expected).__slots__ if name != "tag"]
    assert [getattr(found, name) for name in fields] == [getattr(expected, name) for name in fields]


def test_windows_of_fetch() -> None:
    found = command("uid fetch 1:* (flags) (partial 1:5 changedsince 7)")
    assert isinstance(found, Fetch)
    assert (found.window, found.changed_since) == ((1, 5), 7)


NAMES = ("SEARCH", "SORT", "THREAD", "ESEARCH", "CANCELUPDATE", "UID")
WORDS = st.sampled_from(
    [
        *("(", ")", "return", "(partial 1:2)", "(min max)", "(all)", "utf-8", "all", "not", "or"),
        *("fuzzy", "filter", "x", "from", '"a b"', "1:*", "$", "uid", "7", "sort", "search"),
        *("(reverse date)", "references", "in (selected)", "in (mailboxes (a b))", "emailid M1"),
        *("senton 1-Feb-2020", "charset", "koi8-r", "\\", "{", "relevancy", "savedon"),
    ]
)


@given(
    st.sampled_from(NAMES),
    st.one_of(
        st.lists(WORDS, max_size=12).map(lambda words: " ".join(words).encode()),
        st.binary(max_size=60),
    ),
)
def test_any_text_gives_a_command_or_a_failure(name: str, text: bytes) -> None:
    with contextlib.suppress(SyntaxFailure, CharsetFailure):
        read_arguments(Cursor(b" " + text.replace(b"\0", b"")), "a", name)
