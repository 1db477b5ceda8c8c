from __future__ import annotations

import time
from array import array

import pytest

from mox.imap import codes, responses
from mox.imap.commands import StatusItem
from mox.imap.responses import SearchResult


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (responses.tagged("a1", "OK", "done"), b"a1 OK done\r\n"),
        (responses.tagged("a1", "NO", "x", codes.TRYCREATE), b"a1 NO [TRYCREATE] x\r\n"),
        (responses.untagged("BYE", "a\r\nb"), b"* BYE a??b\r\n"),
        (responses.untagged("OK", "", codes.CLOSED), b"* OK [CLOSED] -\r\n"),
        (responses.continuation(), b"+ \r\n"),
        (responses.continuation("YQ=="), b"+ YQ==\r\n"),
        (responses.capability(["IMAP4rev2", "ID"]), b"* CAPABILITY IMAP4rev2 ID\r\n"),
        (responses.enabled(["condstore"]), b"* ENABLED condstore\r\n"),
        (responses.enabled([]), b"* ENABLED\r\n"),
        (responses.server_id({}), b"* ID NIL\r\n"),
        (responses.server_id({"name": "mox"}), b'* ID ("name" "mox")\r\n'),
        (responses.namespace(), b'* NAMESPACE (("" "/")) NIL NIL\r\n'),
        (responses.exists(3), b"* 3 EXISTS\r\n"),
        (responses.recent(0), b"* 0 RECENT\r\n"),
        (responses.flags(("\\Seen", "$x")), b"* FLAGS (\\Seen $x)\r\n"),
        (b"".join(responses.expunge([4, 2])), b"* 4 EXPUNGE\r\n* 2 EXPUNGE\r\n"),
        (responses.vanished([(1, 3), (5, 5)]), b"* VANISHED 1:3,5\r\n"),
        (responses.vanished([(5, 5)], earlier=True), b"* VANISHED (EARLIER) 5\r\n"),
        (responses.vanished([]), b""),
    ],
)
def test_simple_responses(made, expected):
    assert made == expected


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (codes.appenduid(38505, [3955]), b"APPENDUID 38505 3955"),
        (codes.appenduid(1, [2, 3]), b"APPENDUID 1 2:3"),
        (
            codes.copyuid(38505, [304, 319, 320], [3956, 3957, 3958]),
            b"COPYUID 38505 304,319:320 3956:3958",
        ),
        (codes.modified([7, 9]), b"MODIFIED 7,9"),
        (codes.highestmodseq(715194045007), b"HIGHESTMODSEQ 715194045007"),
        (codes.permanentflags(("\\Seen", "\\*")), b"PERMANENTFLAGS (\\Seen \\*)"),
        (codes.permanentflags(()), b"PERMANENTFLAGS ()"),
        (codes.uidnext(5), b"UIDNEXT 5"),
        (codes.uidvalidity(6), b"UIDVALIDITY 6"),
        (codes.unseen(7), b"UNSEEN 7"),
        (codes.capability(["ID"]), b"CAPABILITY ID"),
    ],
)
def test_codes(made, expected):
    assert made == expected


def test_long_vanished_is_split_into_lines():
    made = responses.vanished([(n, n) for n in range(1, 8000, 2)])
    lines = made.split(b"\r\n")[:-1]
    assert len(lines) > 1
    assert all(line.startswith(b"* VANISHED ") and len(line) < 4100 for line in lines)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (responses.list_line("INBOX"), b'* LIST () "/" INBOX\r\n'),
        (responses.list_line("", ["\\Noselect"]), b'* LIST (\\Noselect) "/" ""\r\n'),
        (
            responses.list_line("Foo", ["\\HasChildren"], childinfo=["SUBSCRIBED"]),
            b'* LIST (\\HasChildren) "/" Foo ("CHILDINFO" ("SUBSCRIBED"))\r\n',
        ),
        (
            responses.list_line("é", oldname="ü x"),
            b'* LIST () "/" &AOk- ("OLDNAME" ("&APw- x"))\r\n',
        ),
        (
            responses.list_line("é", oldname="b", childinfo=["SUBSCRIBED"], utf8=True),
            b'* LIST () "/" "\xc3\xa9" ("CHILDINFO" ("SUBSCRIBED") "OLDNAME" (b))\r\n',
        ),
        (responses.list_line("a b", verb="LSUB"), b'* LSUB () "/" "a b"\r\n'),
        (
            responses.status("é", [(StatusItem.MESSAGES, 231), (StatusItem.APPENDLIMIT, None)]),
            b"* STATUS &AOk- (MESSAGES 231 APPENDLIMIT NIL)\r\n",
        ),
        (
            responses.status("é", [(StatusItem.DELETED_STORAGE, 0)], utf8=True),
            b'* STATUS "\xc3\xa9" (DELETED-STORAGE 0)\r\n',
        ),
        (responses.quotaroot("INBOX"), b'* QUOTAROOT INBOX ""\r\n'),
        (responses.quotaroot("x", ()), b"* QUOTAROOT x\r\n"),
        (responses.quota("", [("STORAGE", 10, 512)]), b'* QUOTA "" (STORAGE 10 512)\r\n'),
        (
            responses.quota("r", [("STORAGE", 1, 2), ("MESSAGE", 3, 4)]),
            b"* QUOTA r (STORAGE 1 2 MESSAGE 3 4)\r\n",
        ),
    ],
)
def test_mailbox_responses(made, expected):
    assert made == expected


def test_classic_search():
    assert responses.search([]) == b"* SEARCH\r\n"
    assert responses.search([2, 84, 882]) == b"* SEARCH 2 84 882\r\n"
    assert responses.search([2, 5], modseq=917162500) == b"* SEARCH 2 5 (MODSEQ 917162500)\r\n"
    assert responses.search([], modseq=5) == b"* SEARCH\r\n"


def test_classic_search_is_one_line():
    made = responses.search(array("I", range(1, 251)), modseq=9)
    assert made.count(b"\r\n") == 1
    assert made.startswith(b"* SEARCH 1 2 ")
    assert made.endswith(b" 250 (MODSEQ 9)\r\n")


@pytest.mark.parametrize(
    ("result", "uid", "expected"),
    [
        (SearchResult(), False, b'* ESEARCH (TAG "A282")\r\n'),
        (SearchResult(minimum=2, count=3), False, b'* ESEARCH (TAG "A282") MIN 2 COUNT 3\r\n'),
        (
            SearchResult(all=[2, 10, 11]),
            True,
            b'* ESEARCH (TAG "A282") UID ALL 2,10:11\r\n',
        ),
        (
            SearchResult(1, 9, 5, array("I", [1, 2, 3, 4, 9]), 1236),
            True,
            b'* ESEARCH (TAG "A282") UID MIN 1 MAX 9 COUNT 5 ALL 1:4,9 MODSEQ 1236\r\n',
        ),
        (SearchResult(count=0, all=[]), False, b'* ESEARCH (TAG "A282") COUNT 0\r\n'),
    ],
)
def test_esearch(result, uid, expected):
    assert responses.esearch("A282", result, uid=uid) == expected


def test_large_results_are_fast():
    start = time.perf_counter()
    responses.search(range(1, 100_001))
    responses.esearch("a", SearchResult(all=range(1, 200_000, 2)), uid=True)
    assert time.perf_counter() - start < 1.0
