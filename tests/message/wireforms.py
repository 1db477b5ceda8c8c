"""Messages for the property tests: generated from pieces that matter to a MIME reader."""

from __future__ import annotations

from hypothesis import strategies as st

PIECES = [
    b"From: a <a@b.example>", b"Subject: x", b"subject : =?utf-8?q?=c3=a9?=", b"To: a:b@c;, d",
    b"Content-Type: multipart/mixed; boundary=b", b'Content-Type: multipart/digest; boundary="b1"',
    b"Content-Type: multipart/mixed; boundary=\"b\"; x*0=1; x*1*=%41",
    b"Content-Type: message/rfc822", b"Content-Type: text/html; charset=latin1", b"Content-Type:",
    b"Content-Type: ;;", b"Content-Transfer-Encoding: base64", b"Content-Disposition: attachment",
    b"Content-Transfer-Encoding: quoted-printable", b"Content-Language: de, en", b" folded",
    b"\tfolded", b"--b", b"--b--", b"--b1", b"--b1--", b"--b ", b"--bx", b"--", b"", b"", b"",
    b"text", b"w6nDqQ==", b"=C3=A9=", b"a\rb", b"\r", b"x\r", b"\xff\xfe", b"\0",
    b"Date: 1 Feb 1994 1:2 +0100",
    b"References: <a@b> <c@d>", b"Message-ID: <\"x\"@y>", b"no colon", b": empty", b"X:", b" ",
]  # fmt: skip


def stored_messages() -> st.SearchStrategy[bytes]:
    """Messages in stored form: LF, and CR only where it ends no line."""
    line = st.one_of(st.sampled_from(PIECES), st.binary(max_size=12))
    lines = st.lists(line, max_size=40)
    return lines.map(lambda pieces: b"\n".join(pieces))


def wire(stored: bytes) -> bytes:
    return stored.replace(b"\n", b"\r\n")
