"""What is accepted is stored octet for octet."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.smtpd.harness import Client, Site

HEADER = b"From: <a@remote.example>\r\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(Path(tmp_path_factory.mktemp("content")))
    yield site
    site.stop()


@pytest.fixture(scope="module")
def client(site: Site) -> Iterator[Client]:
    client = site.connect()
    yield client
    client.close()


def newest(site: Site) -> bytes:
    account = site.ctx.store.account("mjl")
    box = account.mailbox("INBOX")
    assert box is not None
    stored = bytes(account.read(box.id, box.uidnext - 1).data).replace(b"\n", b"\r\n")
    return stored[stored.index(b"\r\n" + HEADER) + 2 :]


LINES = st.lists(
    st.binary(max_size=120).map(lambda line: line.replace(b"\r", b"").replace(b"\n", b""))
    | st.sampled_from([b".", b"..", b".x", b"", b"\0", b"\xff\xfe", b"x" * 3000]),
    max_size=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(lines=LINES)
def test_data_is_stored_identical(site: Site, client: Client, lines: list[bytes]) -> None:
    message = HEADER + b"\r\n" + b"".join(line + b"\r\n" for line in lines)
    assert client.deliver("a@remote.example", "mjl@example.org", message=message)[0] == 250
    assert newest(site) == message


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(lines=LINES, cuts=st.lists(st.integers(0, 4000), max_size=4), ends=st.booleans())
def test_chunks_are_stored_identical(
    site: Site, client: Client, lines: list[bytes], cuts: list[int], ends: bool
) -> None:
    message = HEADER + b"\r\n" + b"\r\n".join(lines) + (b"\r\n" if ends else b"")
    places = [0, *sorted(min(cut, len(message)) for cut in cuts), len(message)]
    chunks = [message[a:b] for a, b in pairwise(places)]
    client.envelope("a@remote.example", "mjl@example.org")
    assert client.bdat(*chunks)[0] == 250
    assert newest(site) == message


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(octets=st.binary(max_size=400))
def test_any_octets_are_stored_identical_or_refused(
    site: Site, client: Client, octets: bytes
) -> None:
    client.envelope("a@remote.example", "mjl@example.org")
    code, _ = client.bdat(HEADER + b"\r\n" + octets)
    rest = octets.replace(b"\r\n", b"")
    assert (code == 250) == (b"\r" not in rest and b"\n" not in rest)
    if code == 250:
        assert newest(site) == HEADER + b"\r\n" + octets


def test_large_message_is_stored_identical(site: Site, client: Client) -> None:
    line = bytes(range(128, 256)) * 7 + b"\0.\r\n"
    message = HEADER + b"\r\n" + line * 4000
    assert len(message) > 3 << 20
    assert client.deliver("a@remote.example", "mjl@example.org", message=message)[0] == 250
    assert newest(site) == message


def test_long_line_is_stored_identical(site: Site, client: Client) -> None:
    message = HEADER + b"\r\n" + b"y" * 2_000_000 + b"\r\n"
    assert client.deliver("a@remote.example", "mjl@example.org", message=message)[0] == 250
    assert newest(site) == message


def test_message_byte_by_byte(site: Site, client: Client) -> None:
    message = HEADER + b"\r\n.\r\n..\r\nx\r\n"
    dialogue = (
        b"MAIL FROM:<a@remote.example>\r\nRCPT TO:<mjl@example.org>\r\nDATA\r\n"
        + message.replace(b"\r\n.", b"\r\n..")
        + b".\r\n"
    )
    for octet in dialogue:
        client.send(bytes([octet]))
    assert [client.reply()[0] for _ in range(4)] == [250, 250, 354, 250]
    assert newest(site) == message
