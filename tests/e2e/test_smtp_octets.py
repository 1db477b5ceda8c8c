"""Every sequence of octets that SMTP accepts comes back over IMAP, below the fields we add."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import pytest

from tests.support.mailboxes import fetch_all, is_intact
from tests.support.rawsmtp import RawSMTP
from tests.support.server import USER, Server, eventually

PIECES: Sequence[bytes] = (
    b"\r\n",
    b"\r\n.\r\n",
    b"\r\n..\r\n",
    b"\r\n\r\n",
    b".",
    b"..",
    b"\0",
    b"\0\0\0",
    b"\xff\xfe\x80",
    "grüße 郵便".encode(),
    b"\t \t",
    b" \r\n",
    b"From me Thu\r\n",
    b">From me\r\n",
    b"Subject: =?utf-8?q?=00?=\r\n",
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n",
    b"\x1a\x04\x7f",
    b"a" * 998,
    b"\r\nQUIT\r\n",
    b"BDAT 0 LAST\r\n",
)
HEADER = b"From: <mox@localhost>\r\nSubject: octets\r\n\r\n"

EDGES: Sequence[bytes] = (
    b"",
    b"\r\n",
    b".\r\n",
    b"..\r\n",
    b"\r\n.\r\n",
    b"\r\n\r\n",
    b"a\r\n.\r\n.\r\n",
    b"Subject: no body\r\n",
    b"Subject: empty body\r\n\r\n",
    b"no header\r\n",
    b"\0",
    b"\0\r\n",
    bytes(b for b in range(256) if b not in b"\r\n") + b"\r\n",
    HEADER + b"x" * (1 << 20) + b"\r\n",
    HEADER + b"\r\n" * 5000,
    HEADER + b".\r\n" * 5000,
    b"X: " + b"y" * 200_000 + b"\r\n\r\nlong field\r\n",
)


def made(seed: int, count: int) -> list[bytes]:
    """Messages of lines in random order, long and short."""
    rng = random.Random(seed)
    return [
        b"".join(rng.choices(PIECES, k=rng.randrange(1, 30))) + rng.choice((b"", b"\r\n"))
        for _ in range(count)
    ]


def received(server: Server) -> list[bytes]:
    client = server.imap_client()
    try:
        return fetch_all(client)
    finally:
        client.logout()


def assert_all_intact(found: Sequence[bytes], sent: Sequence[bytes]) -> None:
    assert len(found) == len(sent)
    for got, want in zip(found, sent, strict=True):
        assert is_intact(got, want), (want[:200], got[:2000])


def test_data_keeps_all_octets(shared: Server) -> None:
    cases = [m if m.endswith(b"\r\n") or not m else m + b"\r\n" for m in [*EDGES, *made(1, 150)]]
    with RawSMTP(shared.smtp) as smtp:
        assert smtp.command("EHLO client.example") == 250
        for message in cases:
            smtp.envelope(USER, USER, "BODY=8BITMIME")
            assert smtp.data(message)[0] == 250, message[:200]
    assert_all_intact(received(shared), cases)


def test_bdat_keeps_all_octets(shared: Server) -> None:
    cases = [*EDGES, *made(2, 150)]
    rng = random.Random(3)
    with RawSMTP(shared.smtp) as smtp:
        assert smtp.command("EHLO client.example") == 250
        for message in cases:
            cuts = sorted(rng.randrange(len(message) + 1) for _ in range(rng.randrange(4)))
            bounds = [0, *cuts, len(message)]
            chunks = [message[a:b] for a, b in itertools.pairwise(bounds)]
            smtp.envelope(USER, USER, "BODY=8BITMIME")
            assert smtp.bdat(*chunks)[0] == 250, message[:200]
    assert_all_intact(received(shared), cases)


@pytest.mark.parametrize("chunked", [False, True])
def test_25_megabytes_come_back(shared: Server, chunked: bool) -> None:
    rng = random.Random(4)
    lines = [rng.randbytes(57).hex().encode() for _ in range(1000)]
    message = HEADER + b"\r\n".join(lines * 225) + b"\r\n"
    assert len(message) > 25_000_000
    with RawSMTP(shared.smtp) as smtp:
        assert smtp.command("EHLO client.example") == 250
        smtp.envelope()
        half = len(message) // 2
        code, _ = smtp.bdat(message[:half], message[half:]) if chunked else smtp.data(message)
        assert code == 250
    assert_all_intact(received(shared), [message])


@pytest.mark.parametrize(
    "message",
    [b"a\nb\r\n", b"a\rb\r\n", b"a\r\n.\nb\r\n", b"a\r\r\n", b"\n", b"\r", b"a\r\n\n"],
)
def test_bare_line_ends_are_refused_and_nothing_is_kept(shared: Server, message: bytes) -> None:
    with RawSMTP(shared.smtp) as smtp:
        assert smtp.command("EHLO client.example") == 250
        smtp.envelope()
        assert smtp.bdat(message)[0] == 500
        smtp.envelope()
        assert smtp.bdat(b"good\r\n")[0] == 250
    assert_all_intact(received(shared), [b"good\r\n"])


def test_submission_and_queue_keep_all_octets(shared: Server) -> None:
    """What was submitted goes through the queue and its SMTP client, and is still the same."""
    bodies = [
        b"",
        b"\r\n",
        b".\r\n",
        b"..\r\n.\r\n",
        b"no line end",
        b"nul \0 octets\r\n",
        bytes(b for b in range(256) if b not in b"\r\n"),
        b"x" * (1 << 20),
        *[b"".join(random.Random(n).choices(PIECES, k=20)) for n in range(40)],
    ]
    cases = [
        b"From: <mox@localhost>\r\nTo: <x@example.org>\r\nDate: Mon, 2 Mar 2026 10:00:00 +0000\r\n"
        b"Message-ID: <%d@localhost>\r\nSubject: %d\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: 8bit\r\n\r\n%s"
        % (n, n, body)
        for n, body in enumerate(bodies)
    ]
    with RawSMTP(shared.submission) as smtp:
        assert smtp.command("EHLO client.example") == 250
        smtp.login()
        for message in cases:
            smtp.envelope(USER, "x@example.org", "BODY=8BITMIME")
            code, text = smtp.bdat(message)
            assert code == 250, (text, message[-200:])
    eventually(lambda: shared.queue_is_empty, 60)
    found = sorted(received(shared), key=_number)
    # The queue sends with DATA, which can only send whole lines.
    sent = [case if case.endswith(b"\r\n") else case + b"\r\n" for case in cases]
    assert_all_intact(found, sent)


def _number(message: bytes) -> int:
    return int(message.partition(b"Message-ID: <")[2].partition(b"@")[0])
