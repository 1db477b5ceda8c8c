from __future__ import annotations

import pytest

from mox.message import Limits, Part, parse, walk
from mox.message.facts import index_facts


def wire(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def multipart(body: str, boundary: str = "b") -> bytes:
    return wire(f"Content-Type: multipart/mixed; boundary={boundary}\n\n{body}")


def bodies(data: bytes, root: Part) -> list[bytes]:
    return [data[child.body_start : child.end] for child in root.children]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("--b\n\none\n--b\n\ntwo\n--b--\n", [b"one", b"two"]),
        ("--b\n\none\n--b--", [b"one"]),
        ("--b \t\n\none\n--b-- \n", [b"one"]),
        ("pre\n--b\n\none\n--b--\n--b\n\nepilogue\n", [b"one"]),
        ("--b\n\none\n--bb\n--b--x\n--b--", [b"one\r\n--bb\r\n--b--x"]),
        ("--b\n\none\n\n--b--", [b"one\r\n"]),
        ("--b\n\none\n", [b"one\r\n"]),  # never closed
        ("--b\n--b--\n", [b""]),
        ("--b\n\n--b--\n", [b""]),
        ("--b\nContent-Type: a/b\n--b--\n", [b""]),
        ("--b\nContent-Type: a/b\n\n--b--\n", [b""]),
        ("--b", [b""]),
        ("x --b\n--b\n\none\n--b--", [b"one"]),
    ],
)
def test_boundaries(body: str, expected: list[bytes]) -> None:
    data = multipart(body)
    assert bodies(data, parse(data)) == expected
    stored = data.replace(b"\r\n", b"\n")
    assert bodies(stored, parse(stored, wire=False)) == [
        body.replace(b"\r\n", b"\n") for body in expected
    ]


def test_boundary_that_begins_another_one() -> None:
    data = wire(
        "Content-Type: multipart/mixed; boundary=b\n\n"
        "--b\nContent-Type: multipart/mixed; boundary=bb\n\n"
        "--bb\n\ninner\n--bb--\n--b\n\nouter\n--b--\n"
    )
    root = parse(data)
    assert bodies(data, root.children[0]) == [b"inner"]
    assert bodies(data, root)[1] == b"outer"


def test_outer_boundary_ends_an_unclosed_inner_multipart() -> None:
    data = wire(
        "Content-Type: multipart/mixed; boundary=a\n\n"
        "--a\nContent-Type: multipart/mixed; boundary=b\n\n"
        "--b\n\ninner\n--a\n\nouter\n--a--\n"
    )
    root = parse(data)
    assert bodies(data, root.children[0]) == [b"inner"]
    assert bodies(data, root)[1] == b"outer"


def test_bare_line_feeds_are_accepted_in_wire_form() -> None:
    data = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n"
    assert bodies(data, parse(data, wire=True)) == [b"one"]


def test_carriage_return_is_content_in_stored_form() -> None:
    data = b"Subject: x\n\r\nY: z\n\nbody"
    assert data[parse(data, wire=False).body_start :] == b"body"


@pytest.mark.parametrize(
    ("header", "type_", "subtype"),
    [
        ("", "TEXT", "PLAIN"),
        ("Content-Type:", "TEXT", "PLAIN"),
        ("Content-Type: text", "TEXT", "PLAIN"),
        ("Content-Type: Text/HTML", "TEXT", "HTML"),
        ("Content-type : image/png; name=x", "IMAGE", "PNG"),
        ("Content-Type: bad", "APPLICATION", "OCTET-STREAM"),
        ("Content-Type: a/b/c", "APPLICATION", "OCTET-STREAM"),
        ("Content-Type: multipart/mixed", "APPLICATION", "OCTET-STREAM"),
        ("Content-Type: multipart/mixed; boundary=", "APPLICATION", "OCTET-STREAM"),
        ("Content-Type: multipart/mixed; boundary=none", "APPLICATION", "OCTET-STREAM"),
        (
            "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64",
            "APPLICATION",
            "OCTET-STREAM",
        ),
    ],
)
def test_media_types(header: str, type_: str, subtype: str) -> None:
    root = parse(wire(f"{header}\n\nbody\n" if header else "\nbody\n"))
    assert (root.media_type, root.media_subtype) == (type_, subtype)
    assert (root.octets, root.lines) == (6, 1)


def test_parts_of_a_digest_are_messages() -> None:
    data = wire(
        "Content-Type: multipart/digest; boundary=b\n\n"
        "--b\n\nSubject: one\n\nbody\n--b\nContent-Type: text/plain\n\ntext\n--b--\n"
    )
    first, second = parse(data).children
    assert first.message is not None and first.media_subtype == "RFC822"
    assert second.message is None and second.media_type == "TEXT"


def test_mime_facts() -> None:
    data = wire(
        "Content-Type: application/pdf; name=a.pdf\n"
        "Content-Transfer-Encoding: Base64 (really)\n"
        "Content-ID: <x@y>\n"
        "Content-Description: =?utf-8?q?caf=C3=A9?=\n"
        'Content-Disposition: Attachment; filename="b.pdf"\n'
        "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\n"
        "Content-Language: de, en\n"
        "Content-Location: http://example.org/\n\nAAAA\n"
    )
    root = parse(data)
    assert root.encoding == "BASE64"
    assert root.content_id == "<x@y>"
    assert root.description == "=?utf-8?q?caf=C3=A9?="
    assert root.is_attachment and root.filename == "b.pdf"
    assert root.md5 == "Q2hlY2sgSW50ZWdyaXR5IQ=="
    assert root.language == ("de", "en")
    assert root.location == "http://example.org/"
    assert root.charset == "" and not root.is_text


def test_delivery_notifications_are_recognised() -> None:
    data = multipart("--b\n\nx\n--b--", "b; report-type=Delivery-Status")
    data = data.replace(b"multipart/mixed", b"multipart/report")
    assert parse(data).is_dsn
    assert index_facts(data, wire=True).is_dsn
    assert not parse(multipart("--b\n\nx\n--b--")).is_dsn


# Limits


def nested(depth: int) -> bytes:
    lines = []
    for level in range(depth):
        lines += [f"Content-Type: multipart/mixed; boundary=b{level}", "", f"--b{level}"]
    return "\r\n".join([*lines, "", "deep"]).encode()


def test_depth_is_limited() -> None:
    data = nested(100)
    root = parse(data)
    parts = list(walk(root))
    assert len(parts) == 51
    assert root.truncated and parts[-1].truncated
    assert parts[-1].media_subtype == "OCTET-STREAM"
    assert not parse(nested(50)).truncated


def test_depth_of_embedded_messages_is_limited() -> None:
    data = b"Content-Type: message/rfc822\r\n\r\n" * 200 + b"\r\nbody"
    root = parse(data)
    assert len(list(walk(root))) == 51 and root.truncated


def test_parts_are_limited_over_all_levels() -> None:
    inner = "Content-Type: multipart/mixed; boundary=c\n\n" + "--c\n\nx\n" * 30 + "--c--\n"
    data = multipart(("--b\n" + inner) * 20 + "--b--\n")
    root = parse(data, limits=Limits(parts=100))
    assert len(list(walk(root))) <= 100 and root.truncated
    assert parse(data).truncated is False
    assert index_facts(data, wire=True, limits=Limits(parts=5)).malformed == "limit"


def test_work_for_boundaries_is_limited() -> None:
    data = nested(40) + b"x" * (1 << 21)
    limits = Limits(scans=3)
    root = parse(data, limits=limits)
    assert root.truncated and len(list(walk(root))) < 20


def test_header_is_limited() -> None:
    data = b"X: y\r\n" * 100 + b"Subject: late\r\n\r\n"
    assert index_facts(data, wire=True).subject == "late"
    assert index_facts(data, wire=True, limits=Limits(fields=50)).subject == ""
    assert index_facts(data, wire=True, limits=Limits(header_octets=100)).subject == ""


def test_long_boundaries_are_no_boundaries() -> None:
    boundary = "b" * 300
    assert not parse(multipart(f"--{boundary}\n\nx\n--{boundary}--\n", boundary)).children


def test_near_boundaries_are_limited() -> None:
    data = multipart("--b\n\none\n" + "--bx\n" * 20 + "--b\n\ntwo\n--b--\n")
    assert len(parse(data).children) == 2
    root = parse(data, limits=Limits(near_boundaries=10))
    assert len(root.children) == 1 and root.truncated
