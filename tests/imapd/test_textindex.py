"""The text index: results are the same with it and without, and it saves opening files."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mox.store.messagefile import MessageFiles
from mox.store.texts import Backlog
from tests.imapd.harness import Client, Literal, Site, message

NOT_A_FILE = [
    "search body text",
    "search text needle",
    'search header x-mark ""',
    "search from alice subject hello",
    "search not bcc x",
    "search sentsince 1-Jan-2020",
    "search fuzzy text alice",
    "sort (reverse date subject from to cc size arrival displayfrom displayto) utf-8 text o",
    "thread references utf-8 body o",
    "thread orderedsubject utf-8 all",
    "esearch in (personal) return (all count) body text",
    "fetch 1:* (preview emailid threadid savedate envelope bodystructure)",
    "search return (partial -1:-1) body text",
    "search return (min) body text",
]


def index_all(site: Site) -> None:
    backlog = Backlog(site.ctx.store)
    for now in (0.0, 2.0):
        for _ in backlog.steps(now):
            pass


def forget_all(site: Site) -> None:
    store = site.ctx.store
    store.write(lambda write: write.txn.drop(write.dbs.text, delete=False))


@pytest.fixture
def client(site: Site) -> Client:
    site.add(*[message(n, "some text" if n % 2 else "other") for n in range(1, 7)])
    site.add(b"X-Mark: a needle\r\nSubject: untyped\r\n\r\nsome text\r\n")
    return site.login("inbox")


def test_no_search_and_no_list_opens_a_file(
    site: Site, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [client.ok(command) for command in NOT_A_FILE]
    index_all(site)

    def no_file(*_: object) -> None:
        raise AssertionError("a file was opened")

    monkeypatch.setattr(MessageFiles, "_read_file", no_file)
    for command, lines in zip(NOT_A_FILE, expected, strict=True):
        # Tags differ, the rest is the same.
        found = [line.partition(") ")[2] for line in client.ok(command)]
        assert found == [line.partition(") ")[2] for line in lines], command
    forget_all(site)
    assert client.no("search body text") == "[SERVERBUG] internal error"


def test_a_search_keeps_what_it_has_read(
    site: Site, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = client.ok("search body text")
    site.ctx.store.finish_background()
    monkeypatch.setattr(MessageFiles, "_read_file", None)
    assert client.ok("search body text") == first


BODIES = st.lists(
    st.text(alphabet="abcé\u00dfǆﬁΣσς\u0130 \r\n=?", max_size=30), min_size=1, max_size=3
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(BODIES, st.text(alphabet="abcéǆſΣσ\u0131 ", min_size=1, max_size=4), st.data())
def test_with_and_without_the_index(
    site: Site, bodies: list[str], free: str, data: st.DataObject
) -> None:
    client = site.login()
    client.command("delete Prop")
    client.ok("create Prop")
    for body in bodies:
        kind = "Content-Type: text/plain; charset=utf-8"
        site.add(f"Subject: {body[:5]!r}\r\n{kind}\r\n\r\n{body}\r\n".encode(), mailbox="Prop")
    client.ok("select Prop")
    body = data.draw(st.sampled_from(bodies))
    start = data.draw(st.integers(0, len(body)))
    needles = [free, body[start : start + data.draw(st.integers(1, 6))] or "a"]
    commands = [
        (f"search charset utf-8 {key}", Literal(needle))
        for needle in needles
        for key in ("body", "text", "subject")
    ]
    forget_all(site)
    without = [client.ok(*command) for command in commands]
    site.ctx.store.finish_background()
    forget_all(site)
    index_all(site)
    assert [client.ok(*command) for command in commands] == without
    # A part of a body is found in it.
    if (
        start < len(body)
        and not needles[1].isspace()
        and "\n" not in needles[1]
        and "\r" not in needles[1]
    ):
        place = bodies.index(body) + 1
        assert str(place) in without[3][0].split()
    client.close()
