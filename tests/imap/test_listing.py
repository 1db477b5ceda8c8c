from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.imap.commands import List, ListPattern, ListReturn, ListSelect, Lsub
from mox.imap.grammar.mailbox import canonical
from mox.imap.listing import ListEntry, MailboxInfo, list_entries, lsub_entries, ordered, parents
from mox.imap.listpattern import Matcher
from tests.imap.drive import command


def matches(pattern: str, name: str, reference: str = "") -> bool:
    return Matcher(reference, [ListPattern(pattern)]).matches(name)


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*", "a/b/c", True),
        ("%", "a", True),
        ("%", "a/b", False),
        ("%/%", "a/b", True),
        ("%/%", "a", False),
        ("a/*", "a", False),
        ("a*", "a", True),
        ("a*", "a/b", True),
        ("a%", "ab", True),
        ("a%", "a/b", False),
        ("*b", "a/b", True),
        ("%b", "a/b", False),
        ("*/%", "a/b/c", True),
        ("a%c*e", "abc/d/e", True),
        ("a%c*e", "a/c/d/e", False),
        ("%*", "a/b", True),
        ("*%", "a/b", True),
        ("%%", "a/b", False),
        ("", "a", False),
        ("A", "a", False),
        ("Archive/%", "Archive/2026", True),
        ("inbox", "INBOX", True),
        ("INBOX", "INBOX", True),
        ("iNb%", "INBOX", True),
        ("*box", "INBOX", True),
        ("inbox/*", "INBOX/Sub", True),
        ("inbox/sub", "INBOX/Sub", False),
        ("%box/Sub", "INBOX/Sub", True),
        ("inbox", "INBOXES", False),
        ("a*", "INBOX", False),
    ],
)
def test_patterns(pattern, name, expected):
    assert matches(pattern, name) is expected


@pytest.mark.parametrize(
    ("reference", "pattern", "name", "expected"),
    [
        ("Archive/", "%", "Archive/2026", True),
        ("Archive/", "%", "Archive/2026/1", False),
        ("Archive", "%", "Archive/2026", False),
        ("inbox/", "*", "INBOX/x", True),
        ("a", "b", "ab", True),
        ("*/", "c", "b/c", True),
    ],
)
def test_reference_is_put_before_the_pattern(reference, pattern, name, expected):
    assert matches(pattern, name, reference) is expected


def test_encoded_patterns_match_encoded_names():
    matcher = Matcher("", [ListPattern("&AO*", encoded=True), ListPattern("x")])
    assert matcher.matches("é")
    assert matcher.matches("x")
    assert not matcher.matches("&AO")


NAMES = st.text(alphabet="ab/", min_size=1, max_size=12)


@given(st.text(alphabet="ab/*%", max_size=10), NAMES)
def test_matching_equals_a_regular_expression(pattern, name):
    expression = "".join({"*": ".*", "%": "[^/]*"}.get(char, re.escape(char)) for char in pattern)
    assert matches(pattern, name) is bool(re.fullmatch(expression, name))


@pytest.mark.parametrize(
    "pattern", ["*a" * 900, "%a" * 900, "*%a" * 600, "*" * 60_000, "a*" * 30_000]
)
def test_hostile_patterns_are_quick(pattern):
    start = time.perf_counter()
    for _ in range(20):
        matches(pattern, "a" * 1000 + "b")
    assert time.perf_counter() - start < 2.0


@given(st.text(max_size=12))
def test_only_the_inbox_changes_case(name):
    found = canonical(name)
    assert found.upper() == name.upper()
    assert found == name or found.split("/")[0] == "INBOX"


# ---- LIST ------------------------------------------------------------------------------------

# The hierarchy of RFC 5258 §5, example 1.
EXAMPLE = [
    "Fruit",
    "Fruit/Apple",
    "Fruit/Banana",
    "INBOX",
    "Tofu",
    "Vegetable",
    "Vegetable/Broccoli",
    "Vegetable/Corn",
]
EXAMPLE_SUBSCRIBED = {"Fruit/Banana", "Fruit/Peach", "INBOX", "Vegetable", "Vegetable/Broccoli"}


def run(line: str, names=EXAMPLE, subscribed=EXAMPLE_SUBSCRIBED) -> list[ListEntry]:
    parsed = command(line)
    assert isinstance(parsed, List)
    return list_entries(parsed, [MailboxInfo(name) for name in names], subscribed)


def lines(entries: list[ListEntry]) -> list[str]:
    """Without the child attributes, which are told always."""
    found = []
    for entry in entries:
        attributes = [each for each in entry.attributes if "Children" not in each]
        childinfo = f" {','.join(entry.childinfo)}" if entry.childinfo else ""
        found.append(" ".join([entry.name, *attributes]) + childinfo)
    return found


def test_plain_list_gives_existing_mailboxes_inbox_first():
    assert lines(run('list "" *')) == ["INBOX"] + [name for name in EXAMPLE if name != "INBOX"]


def test_children_are_told():
    found = {entry.name: entry.attributes for entry in run('list "" % return (children)')}
    assert found["Fruit"] == ("\\HasChildren",)
    assert found["Tofu"] == ("\\HasNoChildren",)


def test_subscribed_of_rfc5258_example_2():
    assert lines(run('list (subscribed) "" "*"')) == [
        "INBOX \\Subscribed",
        "Fruit/Banana \\Subscribed",
        "Fruit/Peach \\NonExistent \\Subscribed",
        "Vegetable \\Subscribed",
        "Vegetable/Broccoli \\Subscribed",
    ]


def test_subscriptions_are_returned_when_asked_for():
    found = lines(run('list "" % return (subscribed)'))
    assert found == ["INBOX \\Subscribed", "Fruit", "Tofu", "Vegetable \\Subscribed"]


# RFC 5258 §5, examples 8 and 9.
FOO = {"Foo": False, "Foo/Bar": False, "Foo/Baz": True, "Moo": False}


def test_recursivematch_of_rfc5258_example_8():
    names, subscribed = list(FOO), {name for name, is_subscribed in FOO.items() if is_subscribed}
    assert lines(run('list (subscribed) "" "*"', names, subscribed)) == ["Foo/Baz \\Subscribed"]
    assert lines(run('list (recursivematch subscribed) "" "%"', names, subscribed)) == [
        "Foo SUBSCRIBED"
    ]
    # Every child that is selected is told, so Foo need not be.
    assert lines(run('list (recursivematch subscribed) "" "*"', names, subscribed)) == [
        "Foo/Baz \\Subscribed"
    ]
    assert lines(run('list (recursivematch subscribed) "" "Foo"', names, subscribed)) == [
        "Foo SUBSCRIBED"
    ]
    assert run('list (recursivematch subscribed) "" "Moo"', names, subscribed) == []
    both = subscribed | {"Foo"}
    assert lines(run('list (recursivematch subscribed) "" "%"', names, both)) == [
        "Foo \\Subscribed SUBSCRIBED"
    ]


def test_recursivematch_of_rfc5258_example_9():
    names = [
        *("foo2", "foo2/bar1", "foo2/bar2", "baz2", "baz2/bar2", "baz2/bar22", "baz2/bar222"),
        *("eps2", "eps2/mamba", "qux2/bar2"),
    ]
    subscribed = {
        *("foo2/bar1", "foo2/bar2", "baz2/bar2", "baz2/bar22", "baz2/bar222"),
        *("eps2", "eps2/mamba", "qux2/bar2"),
    }
    assert sorted(
        lines(run('list (recursivematch subscribed) "" "*2"', names, subscribed))
    ) == sorted(
        [
            "foo2 SUBSCRIBED",
            "foo2/bar2 \\Subscribed",
            "baz2/bar2 \\Subscribed",
            "baz2/bar22 \\Subscribed",
            "baz2/bar222 \\Subscribed",
            "eps2 \\Subscribed SUBSCRIBED",
            "qux2/bar2 \\Subscribed",
        ]
    )


def test_recursivematch_names_parents_that_do_not_exist():
    found = run('list (recursivematch subscribed) "" "%"', [], {"ghost/x"})
    assert lines(found) == ["ghost \\NonExistent SUBSCRIBED"]
    assert not found[0].exists


def test_special_use_selection():
    mailboxes = [MailboxInfo("INBOX"), MailboxInfo("A"), MailboxInfo("A/Sent", ("\\Sent",))]
    for line, expected in [
        ('list (special-use) "" *', ["A/Sent \\Sent"]),
        ('list (special-use subscribed) "" *', []),
        ('list (special-use recursivematch) "" %', ["A SPECIAL-USE"]),
        ('list "" *', ["INBOX", "A", "A/Sent \\Sent"]),
        ('list (remote) "" * return (special-use)', ["INBOX", "A", "A/Sent \\Sent"]),
    ]:
        assert lines(list_entries(command(line), mailboxes, set())) == expected


def test_several_patterns_give_each_mailbox_once():
    assert lines(run('list "" (Tofu % "INBOX")')) == ["INBOX", "Fruit", "Tofu", "Vegetable"]


def test_empty_pattern_asks_for_the_delimiter():
    assert run('list "" ""') == [ListEntry("", ("\\Noselect",))]
    assert run('list "" ("")') == []


def test_returned_subscription_is_told_only_when_asked():
    assert "\\Subscribed" not in run('list "" INBOX')[0].attributes
    parsed = List("t", "", (ListPattern("INBOX"),), returns=frozenset({ListReturn.SUBSCRIBED}))
    (entry,) = list_entries(parsed, [MailboxInfo("INBOX")], {"INBOX"})
    assert "\\Subscribed" in entry.attributes


# ---- LSUB ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "subscribed", "expected"),
    [
        ("*", {"a", "b/c"}, ["a", "b/c"]),
        ("%", {"a", "b/c"}, ["a", "b \\Noselect"]),
        ("%", {"b", "b/c"}, ["b"]),
        ("b/%", {"b/c/d", "b/e"}, ["b/c \\Noselect", "b/e"]),
        ("b", {"b/c"}, []),
        ("inbox", {"INBOX"}, ["INBOX"]),
    ],
)
def test_lsub(pattern, subscribed, expected):
    parsed = Lsub("t", "", ListPattern(pattern))
    assert lines(lsub_entries(parsed, subscribed)) == expected


def test_parents_and_order():
    assert list(parents("a/b/c")) == ["a/b", "a"]
    assert list(parents("a")) == []
    assert list(ordered({"b", "a-b", "a/c", "a", "INBOX", "INBOX/z", "A"})) == [
        *("INBOX", "INBOX/z", "A", "a", "a/c", "a-b", "b")
    ]


def test_selection_options_are_known():
    assert {option.value for option in ListSelect} == {
        *("SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE")
    }


@given(
    st.sets(
        NAMES.filter(lambda n: not n.startswith("/") and not n.endswith("/") and "//" not in n),
        max_size=8,
    ),
    st.sets(
        NAMES.filter(lambda n: not n.startswith("/") and not n.endswith("/") and "//" not in n),
        max_size=8,
    ),
    st.sets(st.sampled_from(list(ListSelect)), max_size=4),
    st.text(alphabet="ab/*%", min_size=1, max_size=6),
)
def test_listing_invariants(names, subscribed, selection, pattern):
    existing = names | {parent for name in names for parent in parents(name)}
    parsed = List("t", "", (ListPattern(pattern),), frozenset(selection), extended=True)
    entries = list_entries(parsed, [MailboxInfo(name) for name in existing], subscribed)
    told = [entry.name for entry in entries]
    assert len(set(told)) == len(told)
    for entry in entries:
        assert matches(pattern, entry.name)
        assert entry.exists is (entry.name in existing) is ("\\NonExistent" not in entry.attributes)
        assert bool(entry.childinfo) <= (ListSelect.RECURSIVEMATCH in selection)
        assert ("\\HasChildren" in entry.attributes) != ("\\HasNoChildren" in entry.attributes)
