from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.imap.fetchatt import Section
from mox.imap.grammar.cursor import MAX_NUMBER64
from mox.imap.url import MessageUrl, UrlError, parse


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        # RFC 4469 §3
        (
            "/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER",
            MessageUrl("Drafts", 20, 385759045, Section(what="HEADER")),
        ),
        (
            "/Drafts;UIDVALIDITY=385759045/;UID=30",
            MessageUrl("Drafts", 30, 385759045),
        ),
        (
            "/INBOX;UIDVALIDITY=785799047/;UID=113330;section=1.5.9",
            None,
        ),
        ("/inbox/;UID=1/;SECTION=1.2.MIME", MessageUrl("INBOX", 1, None, Section((1, 2), "MIME"))),
        ("/inbox;uid=1", MessageUrl("INBOX", 1)),
        ("/a/b/;UID=1", MessageUrl("a/b", 1)),
        ("/%C3%A9%20x/;UID=1", MessageUrl("é x", 1)),
        ("/&AOk-/;UID=1", MessageUrl("é", 1)),
        ("/a%3Bb/;UID=1", MessageUrl("a;b", 1)),
        (
            "/a/;UID=1/;SECTION=HEADER.FIELDS%20(SUBJECT%20To)",
            MessageUrl("a", 1, None, Section((), "HEADER.FIELDS", ("SUBJECT", "To"))),
        ),
        # RFC 5550 §3.1
        (
            "/a/;UID=1/;SECTION=1/;PARTIAL=10.20",
            MessageUrl("a", 1, None, Section((1,)), (10, 20)),
        ),
        ("/a/;UID=1/;PARTIAL=10", MessageUrl("a", 1, partial=(10, MAX_NUMBER64))),
        ("imap://other.example/a/;UID=1", None),
        ("a/;UID=1", MessageUrl("a", 1)),
        ("imap:/a/;UID=1", None),
        (";UID=1", None),
        ("//a/;UID=1", None),
        ("/a", None),
        ("/a/;UID=0", None),
        ("/a/;UID=4294967296", None),
        ("/a/;UID=1/;SECTION=FROB", None),
        ("/a/;UID=1/;SECTION=1]%20FLAGS", None),
        ("/a/;UID=1/;SECTION=%5D", None),
        ("/a/;UID=1/;PARTIAL=x", None),
        ("/a/;UID=1;EXPIRE=2027-01-01T00:00:00Z;URLAUTH=anonymous", None),
        ("/%FF/;UID=1", None),
        ("/&x/;UID=1", None),
        ("/a/;UID=1/;SECTION=" + "1." * 3000 + "1", None),
    ],
)
def test_urls(url: str, expected: MessageUrl | None) -> None:
    if expected is None:
        with pytest.raises(UrlError):
            parse(url)
    else:
        assert parse(url) == expected


@pytest.mark.parametrize(
    ("url", "selected", "mailbox"),
    [
        # RFC 4469 §3: the base is the selected mailbox.
        ("Drafts/;UID=1", "INBOX", "Drafts"),
        ("Drafts;UIDVALIDITY=5/;UID=1/;SECTION=1", "Lists/é;x/mox", "Lists/é;x/Drafts"),
        ("a/b/;UID=1", "Lists/mox", "Lists/a/b"),
        ("/a/;UID=1", "Lists/mox", "a"),
    ],
)
def test_relative_urls(url: str, selected: str, mailbox: str) -> None:
    assert parse(url, selected).mailbox == mailbox


@given(st.text(alphabet="/;=%&.aAUIDSECTIONPARTIAL0123456789[]() \0é", max_size=60))
def test_nothing_but_its_own_error(text: str) -> None:
    for url in (text, "/a/;UID=1/;SECTION=" + text, f"/{text}/;UID=1"):
        try:
            parse(url)
        except UrlError:
            continue


def test_a_long_hostile_url_takes_no_time() -> None:
    with pytest.raises(UrlError):
        parse("/" + "a/" * 2000)
