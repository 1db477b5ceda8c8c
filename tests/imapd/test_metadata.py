"""METADATA (RFC 5464) and LIST-METADATA (RFC 9590)."""

from __future__ import annotations

import pytest

from mox.store import annotations
from tests.imapd.harness import Site, message


def test_set_and_get(site: Site) -> None:
    client = site.login()
    client.ok('setmetadata inbox (/shared/comment "Shared comment" /private/comment "My own")')
    assert client.ok("getmetadata inbox /shared/comment") == [
        '* METADATA INBOX (/shared/comment "Shared comment")'
    ]
    assert client.ok("getmetadata inbox (/shared/comment /private/comment)") == [
        '* METADATA INBOX (/private/comment "My own" /shared/comment "Shared comment")'
    ]
    client.ok("setmetadata inbox (/shared/comment nil)")
    assert client.ok("getmetadata inbox /shared/comment") == [
        "* METADATA INBOX (/shared/comment NIL)"
    ]


def test_entries_of_the_server_are_the_accounts(site: Site) -> None:
    client = site.login()
    client.ok('setmetadata "" (/shared/comment "hello")')
    assert client.ok('getmetadata "" /shared/comment') == [
        '* METADATA "" (/shared/comment "hello")'
    ]
    assert client.ok("getmetadata inbox /shared/comment") == [
        "* METADATA INBOX (/shared/comment NIL)"
    ]
    assert site.login(user="small").ok('getmetadata "" /shared/comment') == [
        '* METADATA "" (/shared/comment NIL)'
    ]


def test_literals(site: Site) -> None:
    client = site.login()
    client.send(b"a setmetadata inbox (/private/comment {10+}\r\ntwo\r\nlines)\r\n")
    assert client.line().startswith("a OK")
    assert client.ok("getmetadata inbox /private/comment") == [
        "* METADATA INBOX (/private/comment {10}\r\ntwo\r\nlines)"
    ]
    client.send(b"a setmetadata inbox (/private/comment ~{3+}\r\na\0b)\r\n")
    assert client.line().startswith("a OK")
    assert client.ok("getmetadata inbox /private/comment") == [
        "* METADATA INBOX (/private/comment ~{3}\r\na\0b)"
    ]


def test_values_that_are_too_long_for_the_client(site: Site) -> None:
    client = site.login()
    client.ok('setmetadata inbox (/private/comment "hi" /shared/comment "abc" /shared/x "abcde")')
    answer = client.command("getmetadata (depth infinity maxsize 2) inbox (/)")
    assert answer.lines == ['* METADATA INBOX (/private/comment "hi")']
    assert answer.code == "METADATA LONGENTRIES 5"


def test_depth_tells_only_what_there_is(site: Site) -> None:
    client = site.login()
    client.ok('setmetadata inbox (/private/filters/values/small "x" /private/filters/boss "y")')
    # RFC 5464 §4.2.2
    assert client.ok("getmetadata (depth 1) inbox (/private/filters)") == [
        '* METADATA INBOX (/private/filters NIL /private/filters/boss "y")'
    ]
    assert client.ok("getmetadata (depth infinity) inbox (/shared)") == []


def test_all_or_nothing(site: Site) -> None:
    client = site.login()
    client.no('setmetadata inbox (/shared/comment "a" /comment "b")')
    assert client.ok("getmetadata (depth infinity) inbox (/)") == []


def test_limits(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    client = site.login()
    client.send(b"a setmetadata inbox (/shared/big {65537+}\r\n" + b"x" * 65_537 + b")\r\n")
    assert client.line().startswith("a NO [METADATA MAXSIZE 65536]")
    monkeypatch.setattr(annotations, "MAX_ENTRIES", 2)
    client.ok('setmetadata inbox (/shared/a "1" /shared/b "2")')
    assert client.no('setmetadata "" (/shared/c "3")').startswith("[METADATA TOOMANY]")
    client.ok("setmetadata inbox (/shared/a nil)")
    client.ok('setmetadata "" (/shared/c "3")')
    monkeypatch.setattr(annotations, "MAX_OCTETS", 100)
    assert client.no('setmetadata "" (/shared/c "%s")' % ("x" * 100)).startswith(
        "[METADATA TOOMANY]"
    )


def test_life_with_the_mailbox(site: Site) -> None:
    client = site.login()
    client.ok("create a")
    client.ok('setmetadata a (/shared/comment "of a")')
    client.ok("rename a b")
    assert client.ok("getmetadata b /shared/comment") == ['* METADATA b (/shared/comment "of a")']
    client.ok("delete b")
    client.ok("create b")
    assert client.ok("getmetadata b /shared/comment") == ["* METADATA b (/shared/comment NIL)"]
    assert client.no("getmetadata a /shared/comment").startswith("[NONEXISTENT]")
    assert client.no('setmetadata a (/shared/comment "x")').startswith("[NONEXISTENT]")


def test_renaming_the_inbox_copies(site: Site) -> None:
    site.add(message(1))
    client = site.login()
    client.ok('setmetadata inbox (/shared/comment "of the inbox")')
    client.ok("rename inbox old")
    for name in ("INBOX", "old"):
        assert client.ok(f"getmetadata {name} /shared/comment") == [
            f'* METADATA {name} (/shared/comment "of the inbox")'
        ]


def test_a_change_raises_the_modseq(site: Site) -> None:
    client = site.login()

    def modseq() -> int:
        (line,) = client.ok("status inbox (highestmodseq)")
        return int(line.split()[-1].rstrip(")"))

    before = modseq()
    client.ok('setmetadata inbox (/shared/comment "x")')
    after = modseq()
    assert after > before
    client.ok('setmetadata inbox (/shared/comment "x" /shared/other nil)')
    assert modseq() == after


def test_list_returns_metadata(site: Site) -> None:
    """RFC 9590 §4."""
    client = site.login()
    color = "/shared/vendor/cmu/cyrus-imapd/color"
    client.ok(f'setmetadata inbox ({color} "#b71c1c")')
    assert client.ok(f'list "" (INBOX Sent) return (metadata ("{color}"))') == [
        '* LIST (\\HasNoChildren) "/" INBOX',
        f'* METADATA INBOX ({color} "#b71c1c")',
        '* LIST (\\HasNoChildren \\Sent) "/" Sent',
        f"* METADATA Sent ({color} NIL)",
    ]
    client.bad('list "" * return (metadata)')
    client.bad('list "" * return (metadata ())')
    assert len(client.ok(f'list "" INBOX return (status (messages) metadata {color})')) == 3


def test_names_are_encoded(site: Site) -> None:
    client = site.login(enable="utf8=accept")
    client.ok('create "é"')
    client.ok('setmetadata "é" (/shared/comment "x")')
    assert client.ok('getmetadata "é" /shared/comment') == ['* METADATA "é" (/shared/comment "x")']
