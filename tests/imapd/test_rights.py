"""ACL (RFC 4314), LIST-MYRIGHTS (RFC 8440) and quotas (RFC 9208) as their owner sees them."""

from __future__ import annotations

import pytest

from tests.imapd.harness import Site, message

ALL = "lrswipkxtecda"


def test_myrights(site: Site) -> None:
    client = site.login()
    assert client.ok("myrights inbox") == [f"* MYRIGHTS INBOX {ALL}"]
    assert client.no("myrights nosuch").startswith("[NONEXISTENT]")
    client.ok('create "a b"')
    assert client.ok('myrights "a b"') == [f'* MYRIGHTS "a b" {ALL}']


def test_names_are_encoded(site: Site) -> None:
    client = site.login(enable="utf8=accept")
    client.ok('create "é"')
    assert client.ok('myrights "é"') == [f'* MYRIGHTS "é" {ALL}']
    assert site.login().ok("myrights &AOk-") == [f"* MYRIGHTS &AOk- {ALL}"]


def test_acl_has_the_owner(site: Site) -> None:
    assert site.login().ok("getacl inbox") == [f"* ACL INBOX mjl@example.org {ALL}"]


def test_listrights(site: Site) -> None:
    client = site.login()
    assert client.ok("listrights inbox mjl@example.org") == [
        f"* LISTRIGHTS INBOX mjl@example.org {ALL}"
    ]
    # RFC 4314 §3.7: nothing can be given to others.
    assert client.ok("listrights inbox anyone") == ['* LISTRIGHTS INBOX anyone ""']


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        ("setacl inbox mjl@example.org lrswipkxte", "NO", "NOPERM"),  # lacks a
        ("setacl inbox mjl@example.org lrswipcda", "OK", ""),  # RFC 2086's rights are all of them
        ("setacl inbox mjl@example.org lrswipkxtea", "OK", ""),
        ("setacl inbox mjl@example.org +x", "OK", ""),
        ("setacl inbox mjl@example.org -x", "NO", "NOPERM"),
        ("setacl inbox small@example.org lr", "NO", "NOPERM"),
        ("setacl inbox anyone +l", "NO", "NOPERM"),
        ("setacl inbox anyone L", "BAD", ""),
        ("setacl inbox anyone lz", "BAD", ""),
        ("setacl nosuch anyone l", "NO", "NONEXISTENT"),
        ("deleteacl inbox mjl@example.org", "NO", "NOPERM"),
        ("deleteacl inbox small@example.org", "OK", ""),
    ],
)
def test_changing_lists(site: Site, words: str, status: str, code: str) -> None:
    client = site.login()
    answer = client.command(words)
    assert (answer.status, answer.code) == (status, code)
    assert client.ok("myrights inbox") == [f"* MYRIGHTS INBOX {ALL}"]


def test_list_returns_rights(site: Site) -> None:
    client = site.login()
    # RFC 8440 §4
    assert client.ok('list "" (inbox Sent) return (myrights)') == [
        '* LIST (\\HasNoChildren) "/" INBOX',
        f"* MYRIGHTS INBOX {ALL}",
        '* LIST (\\HasNoChildren \\Sent) "/" Sent',
        f"* MYRIGHTS Sent {ALL}",
    ]
    client.ok("subscribe ghost")
    assert client.ok('list (subscribed) "" ghost return (myrights)') == [
        '* LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" ghost'
    ]


def test_quota_resources(site: Site) -> None:
    site.add(message(1), user="small")
    client = site.login(user="small")
    (line,) = client.ok('getquota ""')
    assert line == '* QUOTA "" (STORAGE 1 5 MESSAGE 1 4294967295 MAILBOX 6 4294967295)'


def test_limits_are_the_administrators(site: Site) -> None:
    client = site.login(user="small")
    assert client.no('setquota "" (storage 512)').startswith("[NOPERM]")
    assert client.no('setquota "" ()').startswith("[NOPERM]")
    assert client.no("setquota other (storage 512)").startswith("[NONEXISTENT]")
    client.bad('setquota "" storage 512')
    client.bad('setquota "" (storage x)')


def test_deleted_storage(site: Site) -> None:
    site.add(message(1), message(2))
    client = site.login("inbox")
    client.ok("store 1 +flags (\\Deleted)")
    assert client.ok("status inbox (deleted deleted-storage)") == [
        f"* STATUS INBOX (DELETED 1 DELETED-STORAGE {len(message(1))})"
    ]
