"""SORT, THREAD and their result options on a running worker (RFC 5256, RFC 5267, RFC 5957)."""

from __future__ import annotations

import pytest

from tests.imapd.harness import Client, Site


def mail(
    sender: str,
    subject: str,
    date: str,
    *,
    to: str = "x@y.example",
    more: str = "",
    body: str = ".",
) -> bytes:
    lines = [f"From: {sender}", f"To: {to}", f"Subject: {subject}", f"Date: {date}"]
    if more:
        lines.append(more)
    return "\r\n".join([*lines, "", body, ""]).encode()


@pytest.fixture
def client(site: Site) -> Client:
    site.add(
        mail(
            "Zoe <bob@x.example>", "Re: beta", "Mon, 2 Feb 2026 10:00:00 +0000", body="long " * 50
        ),
        received=(1_800_000_300, 0),
    )
    site.add(
        mail("amy@x.example", "alpha", "Mon, 2 Feb 2026 11:30:00 +0200", to="B <q@y.example>"),
        received=(1_800_000_200, 0),
    )
    site.add(
        mail(
            "=?utf-8?q?=C3=84nne?= <carl@x.example>",
            "[list] Beta",
            "nonsense",
            to="A <r@y.example>",
        ),
        received=(1_800_000_100, 0),
    )
    site.add(
        mail("dora@x.example", "", "Mon, 2 Feb 2026 10:00:00 +0000", more="Cc: aa@x.example"),
        received=(1_800_000_400, 0),
    )
    return site.login("inbox")


SORTS = [
    ("arrival", "3 2 1 4"),
    ("reverse arrival", "4 1 2 3"),
    # 9:30, 10:00 and 10:00 in UTC; without a Date the arrival counts.
    ("date", "2 1 4 3"),
    ("reverse date", "3 1 4 2"),
    ("subject", "4 2 1 3"),
    ("reverse subject", "1 3 2 4"),
    ("subject reverse arrival", "4 2 1 3"),
    ("reverse subject arrival", "3 1 2 4"),
    ("from", "2 1 3 4"),
    # "A\u0308NNE" comes after "AMY".
    ("displayfrom", "2 3 4 1"),
    ("to", "2 3 1 4"),
    ("displayto", "3 2 1 4"),
    ("cc", "1 2 3 4"),
    ("reverse cc", "4 1 2 3"),
    ("size", "2 3 4 1"),
    ("reverse size", "1 4 3 2"),
]


def test_criteria(client: Client) -> None:
    for criteria, found in SORTS:
        assert client.ok(f"sort ({criteria}) utf-8 all") == [f"* SORT {found}"], criteria
        assert client.ok(f"uid sort ({criteria}) us-ascii all") == [f"* SORT {found}"], criteria


def test_sort_finds_what_search_finds(client: Client) -> None:
    assert client.ok("sort (reverse arrival) utf-8 subject beta") == ["* SORT 1 3"]
    assert client.ok("sort (arrival) utf-8 subject nothing") == ["* SORT"]
    client.ok("store 2 +flags.silent (\\Flagged)")
    (line,) = [
        each for each in client.ok("sort (arrival) utf-8 modseq 1 flagged") if "SORT" in each
    ]
    assert line.startswith("* SORT 2 (MODSEQ ")


RETURNS = [
    ("", "ALL 3,2,1,4"),
    ("min", "MIN 3"),
    ("max count", "MAX 4 COUNT 4"),
    ("all count", "COUNT 4 ALL 3,2,1,4"),
    ("partial 2:3", "PARTIAL (2:3 2,1)"),
    ("partial 3:2", "PARTIAL (3:2 2,1)"),
    ("partial -1:-2", "PARTIAL (-1:-2 1,4)"),
    ("partial 9:10 count", "COUNT 4 PARTIAL (9:10 NIL)"),
    ("context count", "COUNT 4"),
]


def test_result_options(client: Client) -> None:
    for options, expected in RETURNS:
        (line,) = client.ok(f"sort return ({options}) (arrival) utf-8 all")
        assert line.partition(") ")[2] == expected, options
        (line,) = client.ok(f"uid sort return ({options}) (arrival) utf-8 all")
        assert line.partition(") UID ")[2] == expected, options


def test_ranges_in_sorted_results_ascend(client: Client) -> None:
    (line,) = client.ok("sort return () (reverse arrival) utf-8 all")
    assert line.endswith(") ALL 4,1:3")


def test_sort_can_save(client: Client) -> None:
    assert client.ok("sort return (save) (reverse arrival) utf-8 subject beta") == []
    assert client.ok("search $") == ["* SEARCH 1 3"]
    client.ok("sort return (save min) (reverse arrival) utf-8 all")
    assert client.ok("search $") == ["* SEARCH 4"]


@pytest.mark.parametrize(
    "command",
    [
        "sort () utf-8 all",
        "sort (size)",
        "sort (size) utf-8",
        "sort (color) utf-8 all",
        "sort (reverse) utf-8 all",
        "sort (size size",
        "sort return (all partial 1:2) (size) utf-8 all",
        "sort return (partial 1:-2) (size) utf-8 all",
        "sort return (partial 0:1) (size) utf-8 all",
        "sort (relevancy) utf-8 all",
        "sort return (relevancy) (size) utf-8 all",
        "thread references utf-8",
        "thread nosuch utf-8 all",
        "search return (partial 1:*) all",
    ],
)
def test_what_makes_no_sense(client: Client, command: str) -> None:
    client.bad(command)


def test_charsets(client: Client) -> None:
    for command in ("sort (size) koi8-r all", "thread references koi8-r all"):
        answer = client.command(command)
        assert (answer.status, answer.code) == ("NO", "BADCHARSET (US-ASCII UTF-8)")


def test_a_sort_by_relevancy_shows_the_best_first(client: Client, site: Site) -> None:
    site.add(mail("x@x.example", "alpha beta", "Mon, 2 Feb 2026 10:00:00 +0000"))
    client.ok("noop")
    found = client.ok('sort return (relevancy all) (relevancy) utf-8 fuzzy text "alpha beta"')
    assert found[0].partition(") ")[2] == "ALL 5 RELEVANCY (100)"
    found = client.ok('search return (relevancy all) fuzzy text "beta alpha"')
    assert found[0].partition(") ")[2] == "ALL 5 RELEVANCY (80)"


# ---- threads


def reply(number: int, *refs: int, subject: str = "plan", day: int = 1) -> bytes:
    fields = [
        f"Message-Id: <m{number}@x.example>",
        f"Subject: {subject}",
        f"Date: {day} Feb 2026 10:00:00 +0000",
    ]
    if refs:
        fields.append("References: " + " ".join(f"<m{ref}@x.example>" for ref in refs))
    return "\r\n".join([*fields, "", ".", ""]).encode()


@pytest.fixture
def threaded(site: Site) -> Client:
    site.add(
        reply(1, subject="one", day=1),
        reply(2, 1, subject="Re: one", day=3),
        reply(3, subject="two", day=2),
        reply(4, 1, 2, subject="Re: one", day=5),
        reply(5, 1, subject="Re: one", day=4),
        reply(6, 99, subject="Re: two", day=6),
    )
    return site.login("inbox")


def test_threads(threaded: Client) -> None:
    for algorithm, expected in [
        ("references", "(1 (2 4)(5))(3 6)"),
        ("refs", "(1 (2 4)(5))(3)(6)"),
        ("orderedsubject", "(1 (2)(5)(4))(3 6)"),
    ]:
        assert threaded.ok(f"thread {algorithm} utf-8 all") == [f"* THREAD {expected}"]
        assert threaded.ok(f"uid thread {algorithm} utf-8 all") == [f"* THREAD {expected}"]


def test_threads_of_some_messages(threaded: Client) -> None:
    # The parent that is not among them leaves a place.
    assert threaded.ok("thread references utf-8 2:*") == ["* THREAD (3 6)((2 4)(5))"]
    assert threaded.ok("thread references us-ascii subject nosuch") == ["* THREAD"]


def test_thread_ids_agree_with_threads(threaded: Client) -> None:
    lines = threaded.ok("fetch 1:* (threadid)")
    ids = [line.partition("THREADID ")[2] for line in lines]
    assert ids[0] == ids[1] == ids[3] == ids[4]
    assert len(set(ids)) == 3
    value = ids[0].strip("()")
    assert threaded.ok(f"search threadid {value}") == ["* SEARCH 1 2 4 5"]
