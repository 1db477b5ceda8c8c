"""FETCH of fixed-size items of many messages says what it says of few."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.imapd import flatfetch
from mox.store.columns import MessageColumns
from mox.store.model import FLAG_MASK, Flag
from mox.store.records import FILE_IS_WIRE, HAS_ORIGIN, pack_message
from tests.imapd.harness import Site, message

NEVER = 10**9


@pytest.fixture
def filled(site: Site) -> Site:
    for number in range(40):
        flags = Flag(number % 64) & ~Flag.DELETED
        keywords = ("work", "$Junk") if number % 5 == 0 else ()
        site.add(message(number, body="x" * number), flags=flags, keywords=keywords)
    first = site.login("inbox")  # takes \Recent of these
    first.ok("uid store 3,7:9 +flags (\\Deleted)")
    first.ok("expunge")
    for number in range(5):
        site.add(message(number), flags=Flag.SEEN if number % 2 else Flag.NONE)
    return site


@pytest.mark.parametrize("enable", ["", "condstore", "imap4rev2", "uidonly"])
@pytest.mark.parametrize("examine", [False, True])
def test_answers_are_the_same(
    filled: Site, monkeypatch: pytest.MonkeyPatch, enable: str, examine: bool
) -> None:
    answers = []
    for many in (NEVER, 1):
        monkeypatch.setattr(flatfetch, "_MANY", many)
        client = filled.login(enable=enable)
        client.ok("examine inbox")  # leaves \Recent to the other one
        if not examine and many == 1:
            client.ok("select inbox")
        answers.append(
            [
                client.ok(f"uid fetch {numbers} ({items})")
                for items in ("flags", "uid flags", "rfc822.size modseq", "flags uid rfc822.size")
                for numbers in ("1:*", "2:10,15:39,41:*", "5:44")
            ]
        )
    assert answers[0] == answers[1]
    assert any("\\Recent" in line for line in answers[1][0]) is (enable != "imap4rev2")
    assert any("$Junk" in line for line in answers[1][0])


def test_a_mailbox_that_is_not_as_the_client_numbers_it(
    filled: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flatfetch, "_MANY", 1)
    client, other = filled.login("inbox"), filled.login("inbox")
    other.ok("uid store 4 +flags.silent (\\Deleted)")
    other.ok("expunge")
    answer = client.command("fetch 1:* (uid flags)")
    assert answer.code == "EXPUNGEISSUED"
    numbers = [int(line.split()[1]) for line in answer.starting("* ") if "FETCH" in line]
    assert len(numbers) == 40
    assert 3 not in numbers  # uid 4; uid 3 was removed before


ROWS = st.lists(
    st.tuples(
        st.integers(1, 1000),
        st.sampled_from([1, 77, 1 << 40]),
        st.sampled_from([0, 1, 1 << 63]),
        st.integers(0, FLAG_MASK),
        st.sampled_from([0, FILE_IS_WIRE, HAS_ORIGIN]),
        st.integers(0, 0xFFFFFFFF),
    ),
    unique_by=lambda row: row[0],
)


@given(ROWS)
def test_columns_are_those_of_the_records(rows: list[tuple[int, ...]]) -> None:
    rows.sort()
    packed = [
        pack_message((uid, modseq, bits, 1, 2, 3, 4, size, flags | own, -60))
        for uid, modseq, bits, flags, own, size in rows
    ]
    columns = MessageColumns(memoryview(b"".join(struct.pack(">Q", 1) + row for row in packed)))
    assert list(columns.uids) == [row[0] for row in rows]
    assert list(columns.modseqs) == [row[1] for row in rows]
    assert list(columns.keywords) == [row[2] for row in rows]
    assert list(columns.flags) == [row[3] | row[4] for row in rows]
    assert list(columns.sizes) == [row[5] for row in rows]
