from __future__ import annotations

import pytest

from mox.store.model import Flag
from tests.imapd.harness import MESSAGE, Client, Site, message

TEXT = "some text\r\n"
CAFE = "café"
MULTIPART = (
    b"Subject: parts\r\n"
    b"MIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n'
    b"\r\n"
    b"preamble\r\n"
    b"--b\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n"
    b"\r\n"
    b"caf=C3=A9\r\n"
    b"--b\r\n"
    b"Content-Type: application/octet-stream\r\n"
    b"Content-Transfer-Encoding: base64\r\n"
    b"\r\n"
    b"AAECAw==\r\n"
    b"--b\r\n"
    b"Content-Type: text/plain\r\n"
    b"Content-Transfer-Encoding: x-strange\r\n"
    b"\r\n"
    b"???\r\n"
    b"--b--\r\n"
)


@pytest.fixture
def client(site: Site) -> Client:
    site.add(MESSAGE, flags=Flag.SEEN, keywords=("todo",), received=(1_800_000_000, 60))
    site.add(MULTIPART, received=(1_800_000_000, -330))
    return site.login("inbox", enable="imap4rev2")


def literal(text: bytes | str) -> str:
    octets = text if isinstance(text, bytes) else text.encode()
    return f"{{{len(octets)}}}\r\n{octets.decode('utf-8', 'surrogateescape')}"


ITEMS = [
    ("flags", "FLAGS (\\Seen todo)"),
    ("uid", "UID 1"),
    ("(uid flags)", "UID 1 FLAGS (\\Seen todo)"),
    ("rfc822.size", f"RFC822.SIZE {len(MESSAGE)}"),
    ("internaldate", 'INTERNALDATE "15-Jan-2027 09:00:00 +0100"'),
    (
        "fast",
        f'FLAGS (\\Seen todo) INTERNALDATE "15-Jan-2027 09:00:00 +0100" RFC822.SIZE {len(MESSAGE)}',
    ),
    (
        "envelope",
        'ENVELOPE ("Mon, 23 Nov 2026 12:46:03 +0100" "hello"'
        ' (("Alice" NIL "alice" "remote.example")) (("Alice" NIL "alice" "remote.example"))'
        ' (("Alice" NIL "alice" "remote.example")) ((NIL NIL "mjl" "example.org"))'
        ' NIL NIL NIL "<m1@remote.example>")',
    ),
    (
        "bodystructure",
        'BODYSTRUCTURE ("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 11 1 NIL NIL NIL NIL)',
    ),
    ("body", 'BODY ("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 11 1)'),
    ("body.peek[]", f"BODY[] {literal(MESSAGE)}"),
    ("rfc822", f"RFC822 {literal(MESSAGE)}"),
    ("rfc822.text", f"RFC822.TEXT {literal(TEXT)}"),
    ("body[text]<5.3>", f"BODY[TEXT]<5> {literal('tex')}"),
    ("body[]<9999.3>", f"BODY[]<9999> {literal('')}"),
    ("body[1]", f"BODY[1] {literal(TEXT)}"),
    ("body[2]", "BODY[2] NIL"),
    (
        "body[header.fields (Subject X-None)]",
        "BODY[HEADER.FIELDS (Subject X-None)] " + literal("Subject: hello\r\n\r\n"),
    ),
    ("binary.size[1]", "BINARY.SIZE[1] 11"),
    ("(body[text]<0.4> uid)", f"UID 1 BODY[TEXT]<0> {literal('some')}"),
]


def test_item(client: Client) -> None:
    for items, expected in ITEMS:
        assert client.ok(f"fetch 1 {items}") == [f"* 1 FETCH ({expected})"], items


MULTIPART_ITEMS = [
    ("binary.peek[1]", "BINARY[1] " + literal(CAFE)),
    ("binary.peek[2]", "BINARY[2] ~{4}\r\n\0\1\2\3"),
    ("binary.peek[2]<1.2>", "BINARY[2]<1> " + literal(b"\1\2")),
    ("binary.size[2]", "BINARY.SIZE[2] 4"),
    ("binary.peek[9]", "BINARY[9] NIL"),
    ("body.peek[2]", f"BODY[2] {literal('AAECAw==')}"),
    (
        "body.peek[2.mime]",
        "BODY[2.MIME] "
        + literal(
            "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        ),
    ),
    ("internaldate", 'INTERNALDATE "15-Jan-2027 02:30:00 -0530"'),
]


def test_item_of_a_multipart(client: Client) -> None:
    for items, expected in MULTIPART_ITEMS:
        assert client.ok(f"fetch 2 {items}") == [f"* 2 FETCH ({expected})"]


def test_unknown_encoding_is_told_and_the_rest_is_sent(client: Client) -> None:
    answer = client.command("fetch 2 (uid binary.peek[3] binary.peek[1])")
    assert (answer.status, answer.code) == ("NO", "UNKNOWN-CTE")
    assert answer.lines == [f"* 2 FETCH (UID 2 BINARY[1] {literal(CAFE)})"]


def test_binary_of_a_multipart_is_refused(client: Client, site: Site) -> None:
    site.add(
        b"Content-Type: message/rfc822\r\n\r\n" + MESSAGE,
    )
    client.ok("noop")
    assert client.command("fetch 3 binary.peek[1]").status == "NO"


def test_body_marks_seen_and_tells_so(client: Client) -> None:
    assert client.ok("fetch 2 body[text]<0.3>") == [
        f"* 2 FETCH (BODY[TEXT]<0> {literal('pre')} FLAGS (\\Seen))"
    ]
    assert client.ok("noop") == []
    assert client.ok("fetch 2 flags") == ["* 2 FETCH (FLAGS (\\Seen))"]


def test_body_marks_seen_in_the_flags_that_were_asked_for(client: Client) -> None:
    assert client.ok("fetch 2 (flags body[text]<0.3>)") == [
        f"* 2 FETCH (FLAGS (\\Seen) BODY[TEXT]<0> {literal('pre')})"
    ]


def test_peek_does_not_mark_seen(client: Client) -> None:
    client.ok("fetch 2 (body.peek[] rfc822.header binary.peek[1])")
    assert client.ok("fetch 2 flags") == ["* 2 FETCH (FLAGS ())"]


def test_uid_fetch_tells_the_uid(client: Client) -> None:
    assert client.ok("uid fetch 2 flags") == ["* 2 FETCH (UID 2 FLAGS ())"]


@pytest.mark.parametrize(
    ("set_", "numbers"),
    [
        ("1:*", [1, 2]),
        ("*", [2]),
        ("2:1", [1, 2]),
        ("99:*", [2]),
        ("99", []),
        ("2,1", [1, 2]),
    ],
)
def test_uid_sets(client: Client, set_: str, numbers: list[int]) -> None:
    lines = client.ok(f"uid fetch {set_} uid")
    assert lines == [f"* {n} FETCH (UID {n})" for n in numbers]


@pytest.mark.parametrize("set_", ["3", "1:3", "3:*", "0"])
def test_sequence_numbers_that_do_not_exist_are_an_error(client: Client, set_: str) -> None:
    assert client.bad(f"fetch {set_} flags")


def test_everything_in_an_empty_mailbox(site: Site) -> None:
    client = site.login("inbox")
    assert client.ok("fetch 1:* flags") == []
    assert client.ok("uid fetch 1:* flags") == []


def test_many_messages_come_in_order(site: Site) -> None:
    site.add(*[message(n) for n in range(1, 131)])
    client = site.login("inbox")
    site_uids = list(range(1, 131))
    for items in ("(uid)", "(uid envelope)", "(uid body.peek[text])"):
        lines = client.ok(f"fetch 1:* {items}")
        assert [int(line.split()[1]) for line in lines] == site_uids
        assert [int(line.split()[4].rstrip(")")) for line in lines] == site_uids
    lines = client.ok("fetch 2,4,6:8,120:* (uid)")
    assert [int(line.split()[1]) for line in lines] == [2, 4, 6, 7, 8, *range(120, 131)]


def test_stored_octets_come_back_exactly(site: Site) -> None:
    content = b"Subject: x\r\n\r\na\rb\r\r\n\x80\xff\r\n.\r\n"
    client = site.login("inbox")
    client.append("inbox", content)
    (line,) = client.ok("fetch 1 body.peek[]")
    assert line.encode("utf-8", "surrogateescape") == b"* 1 FETCH (BODY[] {%d}\r\n%b)" % (
        len(content),
        content,
    )


def test_a_part_taken_slice_by_slice(site: Site) -> None:
    body = "".join(f"line {n} of a long message\r\n" for n in range(8000))
    site.add(message(1, body))
    client = site.login("inbox")
    pieces = []
    for offset in range(0, len(body) + 2, 50_000):
        (line,) = client.ok(f"uid fetch 1 (body.peek[1]<{offset}.50000>)")
        pieces.append(line.partition("}\r\n")[2].removesuffix(")"))
    assert "".join(pieces) == body + "\r\n"


def test_expunged_elsewhere_but_not_told_yet(site: Site) -> None:
    site.add(message(1), message(2), message(3))
    client = site.login("inbox", enable="imap4rev2")
    other = site.login("inbox")
    other.ok("store 2 +flags.silent (\\Deleted)")
    other.ok("expunge")
    answer = client.command("fetch 1:3 (uid flags)")
    assert answer.code == "EXPUNGEISSUED"
    assert answer.lines == ["* 1 FETCH (UID 1 FLAGS ())", "* 3 FETCH (UID 3 FLAGS ())"]
    answer = client.command("fetch 2 (uid body.peek[text])")
    assert answer.code == "EXPUNGEISSUED"
    assert answer.lines == [f"* 2 FETCH (UID 2 BODY[TEXT] {literal(TEXT)})"]
    assert client.ok("noop") == ["* 2 EXPUNGE"]
    assert client.ok("fetch 2 uid") == ["* 2 FETCH (UID 3)"]


def test_modseq_item_enables_condstore(client: Client) -> None:
    answer = client.ok("fetch 1 (modseq)")
    assert answer[0].startswith("* OK [HIGHESTMODSEQ ")
    assert answer[1].startswith("* 1 FETCH (MODSEQ (")
    assert client.ok("store 1 +flags.silent (\\Flagged)")[0].startswith("* 1 FETCH (UID 1 MODSEQ (")


def test_vanished_needs_qresync(client: Client) -> None:
    assert client.bad("uid fetch 1:* flags (changedsince 1 vanished)")
