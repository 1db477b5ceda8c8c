from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.imap.searchcommands import Algorithm
from mox.imap.threads import Mail, Node, format_threads, threads

A = Algorithm


def no_pace() -> None:
    pass


def mail(number: int, own: str = "", *refs: str, subject: str = "", sent: int = 0, **more) -> Mail:
    return Mail(
        number,
        sent or number,
        more.get("received", number),
        own.encode(),
        [ref.encode() for ref in refs],
        subject.upper(),
        more.get("response", False),
    )


def shown(mails: list[Mail], algorithm: Algorithm = A.REFERENCES) -> str:
    return format_threads(threads(mails, algorithm, no_pace), no_pace).decode()


@pytest.mark.parametrize(
    ("mails", "expected"),
    [
        ([], ""),
        ([mail(1), mail(2)], "(1)(2)"),
        ([mail(1, "a"), mail(2, "b", "a"), mail(3, "c", "a", "b")], "(1 2 3)"),
        ([mail(1, "a"), mail(2, "b", "a"), mail(3, "c", "a")], "(1 (2)(3))"),
        # The order in which they came does not matter.
        ([mail(1, "c", "a", "b"), mail(2, "b", "a"), mail(3, "a")], "(3 2 1)"),
        # One missing parent with one child: the child takes its place.
        ([mail(1, "b", "a")], "(1)"),
        # With two, they stand below a place without message.
        ([mail(1, "b", "a"), mail(2, "c", "a")], "((1)(2))"),
        # A gap in the middle closes.
        ([mail(1, "a"), mail(2, "d", "a", "b", "c")], "(1 2)"),
        # Two with one id: the second is a message of its own.
        ([mail(1, "a"), mail(2, "a"), mail(3, "b", "a")], "(1 3)(2)"),
        # Loops are not made.
        ([mail(1, "a", "b"), mail(2, "b", "a")], "(2 1)"),
        ([mail(1, "a", "a")], "(1)"),
        # What a message says of its parent counts more than what another said.
        ([mail(1, "x"), mail(2, "y"), mail(3, "c", "x", "b"), mail(4, "b", "y")], "(1)(2 4 3)"),
        # Siblings by date, then by number.
        (
            [mail(1, "a", sent=5), mail(2, "b", "a", sent=9), mail(3, "c", "a", sent=7)],
            "(1 (3)(2))",
        ),
        ([mail(1, sent=9), mail(2, sent=3), mail(3, sent=3)], "(2)(3)(1)"),
    ],
)
def test_references(mails: list[Mail], expected: str) -> None:
    assert shown(mails) == expected


@pytest.mark.parametrize(
    ("mails", "expected"),
    [
        # A response goes below the original.
        ([mail(1, subject="x"), mail(2, subject="x", response=True)], "(1 2)"),
        ([mail(1, subject="x", response=True), mail(2, subject="x")], "(2 1)"),
        # Two originals, or two responses, become siblings.
        ([mail(1, subject="x"), mail(2, subject="x")], "((1)(2))"),
        ([mail(n, subject="x") for n in (1, 2, 3)], "((1)(2)(3))"),
        # Empty subjects say nothing.
        ([mail(1), mail(2)], "(1)(2)"),
        # A place without message takes in all others of its subject.
        (
            [
                mail(1, "b", "a", subject="x", response=True),
                mail(2, "c", "a", subject="x", response=True),
                mail(3, "d", subject="x"),
            ],
            "((1)(2)(3))",
        ),
        (
            [
                *(mail(n, f"b{n}", "a", subject="x") for n in (1, 2)),
                *(mail(n, f"b{n}", "z", subject="x") for n in (3, 4)),
            ],
            "((1)(2)(3)(4))",
        ),
    ],
)
def test_references_join_by_subject(mails: list[Mail], expected: str) -> None:
    assert shown(mails) == expected


def test_refs_looks_at_no_subject_and_puts_the_newest_last() -> None:
    mails = [
        mail(1, "a", subject="x", received=1),
        mail(2, "b", subject="x", received=2),
        mail(3, "c", "a", subject="x", received=3),
    ]
    assert shown(mails, A.REFS) == "(2)(1 3)"


def test_ordered_subject() -> None:
    mails = [
        mail(1, subject="b", sent=5),
        mail(2, subject="a", sent=6),
        mail(3, subject="b", sent=4),
        mail(4, subject="b", sent=9),
        mail(5, subject="a", sent=7),
    ]
    assert shown(mails, A.ORDEREDSUBJECT) == "(3 (1)(4))(2 5)"


def test_the_format_of_the_rfc() -> None:
    """RFC 5256 §4: the example, built by hand."""

    def node(number: int, *children: Node) -> Node:
        made = Node(mail(number) if number else None)
        for child in children:
            made.adopt(child)
        return made

    tree = node(3, node(6, node(4, node(23)), node(44, node(7, node(96)))))
    assert format_threads([node(2), tree], no_pace) == b"(2)(3 6 (4 23)(44 7 96))"
    assert format_threads([node(0, node(3), node(5))], no_pace) == b"((3)(5))"


IDS = st.sampled_from(["", "a", "b", "c", "d", "e"])
MAILS = st.lists(
    st.tuples(IDS, st.lists(IDS.filter(bool), max_size=4), st.sampled_from("xy "), st.booleans()),
    max_size=12,
)


@given(MAILS, st.sampled_from(Algorithm))
def test_every_message_is_in_exactly_one_place(found, algorithm) -> None:
    mails = [
        mail(n, own, *refs, subject=subject.strip(), response=response)
        for n, (own, refs, subject, response) in enumerate(found, 1)
    ]
    text = shown(mails, algorithm)
    numbers = text.replace("(", " ").replace(")", " ").split()
    assert sorted(map(int, numbers)) == list(range(1, len(mails) + 1))
    assert text.count("(") == text.count(")")
    assert "()" not in text


def test_ten_thousand_in_a_row_and_in_a_star() -> None:
    start = time.perf_counter()
    row = [mail(n, f"m{n}", f"m{n - 1}") for n in range(1, 10_001)]
    for mails in (row, row[::-1]):
        threads(mails, A.REFERENCES, no_pace)
    star = [mail(n, f"m{n}", "root") for n in range(1, 10_001)]
    assert shown(star).startswith("((1)(2)")
    # Each first a child of one, then of another.
    moving = [mail(1, "z", *[x for n in range(2, 2000) for x in ("p", f"m{n}")])]
    moving += [mail(n, f"m{n}", "q") for n in range(2, 2000)]
    threads(moving, A.REFERENCES, no_pace)
    assert time.perf_counter() - start < 10
