from __future__ import annotations

import msgspec
import pytest

from mox.message import Summary, index_facts, thread_links
from mox.message.summary import ID_SIZE, id_hash


def summary(*fields: str) -> Summary:
    raw = "\n".join([*fields, "", "body"]).encode()
    return index_facts(raw, wire=False).summary


def test_sort_keys() -> None:
    found = summary(
        'From: "Jürgen" <j.doe@Remote.example>, second@x.example',
        "To: plain@host.example",
        "Cc: Team: a@x.example, b@x.example;",
        "Subject: Re: [list] Fwd: =?utf-8?q?h=C3=A9llo?= (fwd)",
        "Date: Mon, 23 Nov 2026 12:46:03 +0100",
    )
    assert found.subject == "HE\u0301LLO"
    assert found.is_response
    assert (found.from_, found.to, found.cc) == ("J.DOE", "PLAIN", "TEAM")
    assert (found.display_from, found.display_to) == ("JU\u0308RGEN", "PLAIN@HOST.EXAMPLE")
    assert (found.sent, found.zone) == (1795434363, 60)
    assert found.preview == "body"


@pytest.mark.parametrize(
    ("value", "display"),
    [
        # RFC 5957 §3
        ("Jane <jane@x.example>", "JANE"),
        ("jane@x.example", "JANE@X.EXAMPLE"),
        ("=?utf-8?q?Z=C3=BC?= <z@x.example>", "ZU\u0308"),
        ("friends: jane@x.example;", "FRIENDS"),
        ("", ""),
    ],
)
def test_display_name(value: str, display: str) -> None:
    assert summary(f"From: {value}").display_from == display


def test_ids_are_hashes_in_order() -> None:
    found = summary("Message-Id: <C@x>", "References: <a@x> <b@x>")
    assert found.message_id == id_hash("c@x")
    assert found.references == id_hash("a@x") + id_hash("b@x")
    assert len(found.message_id) == ID_SIZE
    assert summary("In-Reply-To: <a@x> <b@x>").references == id_hash("a@x")
    assert summary("Subject: x").message_id == b""


def test_relatives_share_a_link() -> None:
    first = thread_links(summary("Message-Id: <a@x>", "Subject: plan"))
    reply = thread_links(summary("Message-Id: <b@x>", "References: <a@x>", "Subject: Re: plan"))
    other = thread_links(summary("Message-Id: <c@x>", "References: <a@x>", "Subject: new"))
    assert first[0] in reply and first[0] != reply[0]
    assert first[0] not in other
    # The nearest first, each once.
    chain = " ".join(f"<{n}@x>" for n in range(50))
    links = thread_links(summary("Message-Id: <50@x>", f"References: {chain} <49@x>"))
    assert links[1] == thread_links(summary("Message-Id: <49@x>"))[0]
    assert len(links) == len(set(links)) == 20


def test_without_an_id_there_is_no_own_link() -> None:
    assert thread_links(summary("Subject: x")) == (b"",)


def test_records_of_older_versions_can_be_read() -> None:
    short = msgspec.msgpack.encode([1, 2, "A"])
    assert msgspec.msgpack.decode(short, type=Summary) == Summary(1, 2, "A")
