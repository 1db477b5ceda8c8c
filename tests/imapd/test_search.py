from __future__ import annotations

import pytest

from mox.store.model import Flag
from tests.imapd.harness import Client, Literal, Site, message

ENCODED = (
    b"From: =?utf-8?q?J=C3=BCrgen?= <j@remote.example>\r\n"
    b"Subject: =?utf-8?q?h=C3=A9llo_w=C3=B6rld?=\r\n"
    b"Date: Sun, 1 Feb 2026 23:30:00 -0500\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: base64\r\n"
    b"\r\n"
    b"R3LDvMOfZQ==\r\n"  # Grüße
)
UNTYPED = b"Subject: plain\r\nX-Mark: Needle in here\r\n\r\nhaystack\r\n"


@pytest.fixture
def client(site: Site) -> Client:
    site.add(message(1), flags=Flag.SEEN, received=(1_700_000_000, 0))
    site.add(message(2, "long " * 500), keywords=("Todo",), received=(1_800_000_000, 0))
    site.add(ENCODED, flags=Flag.FLAGGED | Flag.FORWARDED)
    site.add(UNTYPED, flags=Flag.SEEN | Flag.DELETED)
    return site.login("inbox")


KEYS = [
    ("all", "1 2 3 4"),
    ("seen", "1 4"),
    ("unseen", "2 3"),
    ("not seen", "2 3"),
    ("flagged", "3"),
    ("keyword todo", "2"),
    ("unkeyword Todo", "1 3 4"),
    ("keyword $forwarded", "3"),
    ("keyword nothing", ""),
    ("deleted", "4"),
    ("undraft", "1 2 3 4"),
    ("recent", "1 2 3 4"),
    ("new", "2 3"),
    ("old", ""),
    ("2:3", "2 3"),
    ("3:*", "3 4"),
    ("*", "4"),
    ("uid 2,4:99", "2 4"),
    ("uid 99:*", "4"),
    ("9", ""),
    ("larger 2000", "2"),
    ("smaller 70", "4"),
    ("before 1-Jan-2024", "1"),
    ("since 1-Jan-2024", "2 3 4"),
    ("on 15-Jan-2027", "2 3 4"),
    ("sentsince 1-Feb-2026", "1 2 3"),
    ("sentbefore 2-Feb-2026", "3"),
    ("senton 1-Feb-2026", "3"),
    ("older 100000", "1"),
    ("younger 100000", "2 3 4"),
    ("from alice", "1 2"),
    ("from ALICE subject hello", "1 2"),
    ('subject "hello 2"', "2"),
    ("from remote.example", "1 2 3"),
    ('header x-mark "needle IN"', "4"),
    ('header x-mark ""', "4"),
    ("header message-id m1", "1 2"),
    ("body haystack", "4"),
    ("body needle", ""),
    ("text needle", "4"),
    ('body "some text"', "1"),
    ("or seen flagged", "1 3 4"),
    ("or from alice flagged", "1 2 3"),
    ("not (or seen flagged)", "2"),
    ("(seen deleted)", "4"),
    ("not from alice", "3 4"),
    ("unseen from alice", "2"),
]


def test_key(client: Client) -> None:
    for key, found in KEYS:
        assert client.ok(f"search {key}") == [f"* SEARCH {found}".rstrip()], key


TEXTS = [
    ("subject", "héllo", "3"),
    ("subject", "HÉLLO WÖRLD", "3"),
    ("subject", "=?utf-8?q?h=C3=A9llo", "3"),
    ("from", "jürgen", "3"),
    ("from", "JÜRGEN", "3"),
    ("body", "GRÜSSE", "3"),
    ("body", "Grüße", "3"),
    ("text", "wörld", "3"),
    ("body", "nein", ""),
]


def test_text_beyond_ascii(client: Client) -> None:
    for key, value, found in TEXTS:
        expected = [f"* SEARCH {found}".rstrip()]
        assert client.ok(f"search charset utf-8 {key}", Literal(value)) == expected
        assert client.ok(f"uid search charset utf-8 all {key}", Literal(value)) == expected


def test_unknown_charset(client: Client) -> None:
    assert client.command("search charset koi8-r text x").code == "BADCHARSET (US-ASCII UTF-8)"


RETURNS = [
    ("min max count all", "unseen", "MIN 2 MAX 3 COUNT 2 ALL 2:3"),
    ("min", "unseen", "MIN 2"),
    ("max", "unseen", "MAX 3"),
    ("min max", "unseen", "MIN 2 MAX 3"),
    ("min max", "flagged", "MIN 3 MAX 3"),
    ("count", "keyword nothing", "COUNT 0"),
    ("min all", "keyword nothing", ""),
    ("", "seen", "ALL 1,4"),
    ("max", "from alice", "MAX 2"),
]


def test_return_options(client: Client) -> None:
    for options, key, result in RETURNS:
        (line,) = client.ok(f"search return ({options}) {key}")
        assert line.split(") ", 1)[-1] == (result or line)
        assert line.startswith(f'* ESEARCH (TAG "t{client._count}")')
        (line,) = client.ok(f"uid search return ({options}) {key}")
        assert line.startswith(f'* ESEARCH (TAG "t{client._count}") UID')


def test_rev2_answers_with_esearch(client: Client) -> None:
    client.ok("enable imap4rev2")
    assert client.ok("search seen") == [f'* ESEARCH (TAG "t{client._count}") ALL 1,4']
    assert client.ok("search recent") == [f'* ESEARCH (TAG "t{client._count}")']


def test_saved_result(client: Client) -> None:
    assert client.ok("search return (save) unseen") == []
    assert client.ok("fetch $ uid") == ["* 2 FETCH (UID 2)", "* 3 FETCH (UID 3)"]
    assert client.ok("uid search $ flagged") == ["* SEARCH 3"]
    client.ok("store $ +flags.silent (\\Answered)")
    assert client.ok("search answered") == ["* SEARCH 2 3"]
    (line,) = client.ok("search return (save min count) seen")
    assert line.endswith("MIN 1 COUNT 2")
    assert client.ok("search $") == ["* SEARCH 1 4"]
    client.ok("search return (save max) seen")
    assert client.ok("search $") == ["* SEARCH 4"]


def test_saved_result_follows_expunges(client: Client) -> None:
    client.ok("search return (save) all")
    client.ok("expunge")
    assert client.ok("search $") == ["* SEARCH 1 2 3"]


def test_failed_search_saves_nothing(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.ok("search return (save) all")

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("not today")

    with monkeypatch.context() as patch:
        patch.setattr("mox.imapd.finding.blocks", broken)
        assert client.no("search return (save) all") == "[SERVERBUG] internal error"
    assert client.ok("search $") == ["* SEARCH"]


def test_modseq(client: Client) -> None:
    first, second = client.ok("search modseq 1")
    assert first.startswith("* OK [HIGHESTMODSEQ ")
    assert second.startswith("* SEARCH 1 2 3 4 (MODSEQ ")
    modseq = int(second.split("MODSEQ ")[1].rstrip(")"))
    assert client.ok(f"search modseq {modseq + 1}") == ["* SEARCH"]
    (line,) = client.ok(f"uid search return (all) modseq {modseq}")
    assert line.endswith(f"UID ALL 4 MODSEQ {modseq}")


def test_new_message_is_not_found_before_it_is_told(site: Site, client: Client) -> None:
    client.idle()
    client.done()
    site.add(message(5))
    assert client.ok("search uid 5") == [
        "* SEARCH",
        "* 5 EXISTS",
        "* 5 RECENT",
        "* 5 FETCH (UID 5 FLAGS (\\Recent))",
    ]
    assert client.ok("search uid 5") == ["* SEARCH 5"]
