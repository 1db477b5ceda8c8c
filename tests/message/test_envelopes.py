from __future__ import annotations

import pytest

from mox.message import envelope, parse
from mox.message.facts import index_facts


def rendered(header: str | bytes) -> str:
    raw = header if isinstance(header, bytes) else header.encode()
    data = raw.replace(b"\n", b"\r\n") + b"\r\n"
    result = envelope(data, parse(data))
    assert result == index_facts(data, wire=True).envelope
    return result.decode("utf-8", "replace")


def test_envelope_of_the_rfc_example() -> None:
    """RFC 9051 §8, RFC 3501 §8."""
    header = (
        "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\n"
        "From: Terry Gray <gray@cac.washington.edu>\n"
        "Subject: IMAP4rev2 WG mtg summary and minutes\n"
        "To: imap@cac.washington.edu\n"
        "cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\n"
        "Message-Id: <B27397-0100000@cac.washington.edu>\n"
    )
    gray = '(("Terry Gray" NIL "gray" "cac.washington.edu"))'
    assert rendered(header) == (
        '("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev2 WG mtg summary and minutes"'
        f' {gray} {gray} {gray} ((NIL NIL "imap" "cac.washington.edu"))'
        ' ((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU"))'
        ' NIL NIL "<B27397-0100000@cac.washington.edu>")'
    )


NOTHING = "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", NOTHING),
        ("X: y\n", NOTHING),
        ("Subject\n", NOTHING),
        ("Subject:\n", '(NIL "" NIL NIL NIL NIL NIL NIL NIL NIL)'),
        ("Subject: one\nSubject: two\n", '(NIL "one" NIL NIL NIL NIL NIL NIL NIL NIL)'),
        ("Subject: a\n\tb \n", '(NIL "a\tb" NIL NIL NIL NIL NIL NIL NIL NIL)'),
        (
            'Subject: =?utf-8?q?caf=C3=A9?= \\ "x"\n',
            '(NIL "=?utf-8?q?caf=C3=A9?= \\\\ \\"x\\"" NIL NIL NIL NIL NIL NIL NIL NIL)',
        ),
        ("Subject: café\n", "(NIL {5}\r\ncafé NIL NIL NIL NIL NIL NIL NIL NIL)"),
        (b"Subject: a\0b\rc\n", '(NIL "abc" NIL NIL NIL NIL NIL NIL NIL NIL)'),
        (
            "To: undisclosed-recipients:;\n",
            '(NIL NIL NIL NIL NIL ((NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL))'
            " NIL NIL NIL NIL)",
        ),
        ("To:\nCc: ,\n", NOTHING),
        (
            "To: a@x\nTo: b@y\n",
            '(NIL NIL NIL NIL NIL ((NIL NIL "a" "x")(NIL NIL "b" "y")) NIL NIL NIL NIL)',
        ),
        (
            "From: a@x\nSender:\nReply-To: b@y\n",
            '(NIL NIL ((NIL NIL "a" "x")) ((NIL NIL "a" "x")) ((NIL NIL "b" "y"))'
            " NIL NIL NIL NIL NIL)",
        ),
        (
            "In-Reply-To: <a@b> (x)\nMessage-ID: no brackets\n",
            '(NIL NIL NIL NIL NIL NIL NIL NIL "<a@b> (x)" "no brackets")',
        ),
        ("Date: Nov 31st\n", '("Nov 31st" NIL NIL NIL NIL NIL NIL NIL NIL NIL)'),
    ],
)
def test_envelopes(header: str | bytes, expected: str) -> None:
    assert rendered(header) == expected


def test_many_addresses_are_cut() -> None:
    data = b"To: " + b",\r\n ".join([b"a@b.example"] * 3000) + b"\r\n\r\n"
    assert envelope(data, parse(data)).count(b'"b.example"') == 1000
