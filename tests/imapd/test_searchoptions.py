"""PARTIAL, SAVE, FUZZY, FILTER and object ids in SEARCH; windows of FETCH."""

from __future__ import annotations

import pytest

from tests.imapd.harness import Client, Site, message


@pytest.fixture
def client(site: Site) -> Client:
    site.add(*[message(n, "odd" if n % 2 else "even") for n in range(1, 11)])
    return site.login("inbox")


WINDOWS = [
    # RFC 9394 §3.1
    ("partial 1:3", "all", "PARTIAL (1:3 1:3)"),
    ("partial -1:-3", "all", "PARTIAL (-1:-3 8:10)"),
    ("partial -3:-1", "all", "PARTIAL (-3:-1 8:10)"),
    ("partial 9:12", "all", "PARTIAL (9:12 9:10)"),
    ("partial -9:-12", "all", "PARTIAL (-9:-12 1:2)"),
    ("partial 11:12", "all", "PARTIAL (11:12 NIL)"),
    ("partial -11:-12", "all", "PARTIAL (-11:-12 NIL)"),
    ("partial 2:3", "body odd", "PARTIAL (2:3 3,5)"),
    ("partial -2:-3", "body odd", "PARTIAL (-2:-3 5,7)"),
    ("partial 1:2 count", "body odd", "COUNT 5 PARTIAL (1:2 1,3)"),
    ("partial 1:2 min max", "body odd", "MIN 1 MAX 9 PARTIAL (1:2 1,3)"),
    ("partial 1:1", "body nothing", "PARTIAL (1:1 NIL)"),
    ("partial 1:2 context", "all", "PARTIAL (1:2 1:2)"),
]


def test_windows(client: Client) -> None:
    for options, key, expected in WINDOWS:
        (line,) = client.ok(f"search return ({options}) {key}")
        assert line.partition(") ")[2] == expected, (options, key)
        (line,) = client.ok(f"uid search return ({options}) {key}")
        assert line.partition(") UID ")[2] == expected, (options, key)


SAVES = [
    # RFC 9394 §3.2, table 1
    ("save partial 2:3", "2 3"),
    ("save partial 2:3 min", "1 2 3"),
    ("save partial 2:3 max", "2 3 10"),
    ("save partial 2:3 min max", "1 2 3 10"),
    ("save partial 2:3 count", "1 2 3 4 5 6 7 8 9 10"),
    ("save partial 2:3 count min", "1 2 3 4 5 6 7 8 9 10"),
    ("save partial -1:-2", "9 10"),
]


def test_windows_that_are_saved(client: Client) -> None:
    for options, expected in SAVES:
        client.ok(f"search return ({options}) all")
        assert client.ok("search $") == [f"* SEARCH {expected}"], options


FETCHES = [
    # RFC 9394 §3.3
    ("1:*", "-1:-3", [8, 9, 10]),
    ("1:*", "1:3", [1, 2, 3]),
    ("2:4,7:9", "3:4", [4, 7]),
    ("2:4,7:9", "-3:-4", [4, 7]),
    ("2:4", "5:9", []),
    ("2:4", "-9:-2", [2, 3]),
]


def test_windows_of_fetch(client: Client) -> None:
    for chosen, window, expected in FETCHES:
        lines = client.ok(f"uid fetch {chosen} (flags) (partial {window})")
        assert [int(line.split()[1]) for line in lines] == expected
    client.ok("store 9 +flags.silent (\\Seen)")
    (line,) = client.ok("search return (count) modseq 1")[-1:]
    modseq = int(line.rpartition(" ")[2])
    for order in (
        f"partial -1:-3 changedsince {modseq - 1}",
        f"changedsince {modseq - 1} partial -1:-3",
    ):
        lines = client.ok(f"uid fetch 1:* (flags) ({order})")
        assert [int(line.split()[1]) for line in lines] == [9]
    assert client.ok(f"uid fetch 1:* (flags) (partial 1:3 changedsince {modseq - 1})") == []
    client.bad("fetch 1:* (flags) (partial 1:3)")
    client.bad("uid fetch 1:* (flags) (partial 1:3 partial 1:3)")


def test_object_ids(client: Client, site: Site) -> None:
    """RFC 8474: the same after COPY, also in another mailbox."""
    client.ok("copy 1 Archive")
    (line,) = client.ok("fetch 1 (emailid threadid)")
    email = line.partition("EMAILID (")[2].partition(")")[0]
    assert client.ok(f"search emailid {email}") == ["* SEARCH 1"]
    assert client.ok("search emailid Mnosuch") == ["* SEARCH"]
    (status,) = client.ok("status Archive (mailboxid)")
    mailbox = status.partition("MAILBOXID ")[2].rstrip(")").lstrip("(")
    lines = client.ok("select Archive")
    assert f"* OK [MAILBOXID ({mailbox})] mailbox id" in lines
    assert client.ok("fetch 1 (emailid)") == [f"* 1 FETCH (EMAILID ({email}))"]
    answer = client.command("create todo")
    assert answer.code.startswith("MAILBOXID (F")
    created = answer.code
    client.ok("rename todo done")
    (status,) = client.ok("status done (mailboxid)")
    assert created in status
    client.bad("search emailid not.an.id")


def test_preview(site: Site) -> None:
    """RFC 8970: text, in a literal where it is not ASCII, or quoted UTF-8 once enabled."""
    site.add(message(1, "hello\r\n\r\nworld\r\n> quoted"))
    site.add(b"Content-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n")
    site.add(b"Content-Type: image/png\r\n\r\nx\r\n")
    client = site.login("inbox")
    assert client.ok("fetch 1 (preview)") == ['* 1 FETCH (PREVIEW "hello world [...]")']
    assert client.ok("fetch 1 (preview (lazy) uid)") == [
        '* 1 FETCH (PREVIEW "hello world [...]" UID 1)'
    ]
    assert client.ok("fetch 2 preview") == ["* 2 FETCH (PREVIEW {7}\r\nGrüße)"]
    assert client.ok("fetch 3 (preview)") == ['* 3 FETCH (PREVIEW "")']
    client.ok("enable utf8=accept")
    assert client.ok("fetch 2 preview") == ['* 2 FETCH (PREVIEW "Grüße")']
    client.bad("fetch 1 (preview (eager))")


def test_save_dates(client: Client) -> None:
    (line,) = client.ok("fetch 1 (savedate)")
    assert line.startswith('* 1 FETCH (SAVEDATE "') and line.endswith(' +0000")')
    day = line.split('"')[1].split()[0]
    assert client.ok("search savedatesupported savedon " + day)[0].startswith("* SEARCH 1 ")
    assert client.ok("search savedbefore 1-Jan-2020") == ["* SEARCH"]


# ---- filters


def test_filters(client: Client) -> None:
    """RFC 5466 §3.2: the example's filter, and what may go wrong."""
    client.ok('setmetadata "" (/private/filters/values/short "or smaller 5 subject \\"hello 3\\"")')
    assert client.ok("search 2:9 filter short") == ["* SEARCH 3"]
    assert client.ok("search not filter short 1:4") == ["* SEARCH 1 2 4"]
    assert client.ok("sort (arrival) utf-8 filter SHORT") == ["* SORT 3"]
    client.ok('setmetadata "" (/shared/filters/values/short "all" /shared/filters/values/s "2")')
    assert client.ok("search filter short") == ["* SEARCH 3"]
    assert client.ok("search filter s") == ["* SEARCH 2"]
    # One that names another.
    client.ok('setmetadata "" (/private/filters/values/two "filter short uid 3:4")')
    assert client.ok("search filter two") == ["* SEARCH 3"]


def test_filters_with_sequence_numbers_are_nothing_for_uidonly(client: Client) -> None:
    client.ok('setmetadata "" (/private/filters/values/n "or 2 seen")')
    client.ok('setmetadata "" (/private/filters/values/u "uid 2")')
    client.ok("enable uidonly")
    for command in ("uid search filter n", "uid sort (date) utf-8 filter n", "esearch filter n"):
        assert client.bad(command).startswith("[UIDREQUIRED]"), command
    assert client.ok("uid search filter u") == ["* SEARCH 2"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("filter a", "[UNDEFINED-FILTER a] no such filter"),
        ("or smaller", "[UNDEFINED-FILTER a] filter is no search program: expected a space"),
        ("filter missing", "[UNDEFINED-FILTER missing] no such filter"),
    ],
)
def test_filters_that_do_not_work(client: Client, value: str, text: str) -> None:
    client.ok(f'setmetadata "" (/private/filters/values/a "{value}")')
    assert client.no("search filter a") == text


def test_filters_cannot_explode(client: Client) -> None:
    for level in range(1, 5):
        program = " ".join([f"filter f{level - 1}"] * 100) if level > 1 else "all"
        client.ok(f'setmetadata "" (/private/filters/values/f{level} "{program}")')
    assert client.no("search filter f4").startswith("[UNDEFINED-FILTER")
