from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.serving.proxy import MAX_HEADER_BYTES, ProxyError, ProxyHeader, parse_proxy_header

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command: int, family: int, payload: bytes) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(payload)) + payload


def tcp4(source: str = "192.0.2.1", extra: bytes = b"") -> bytes:
    packed = ip_address(source).packed + ip_address("198.51.100.2").packed
    return packed + struct.pack("!HH", 4321, 25) + extra


def tcp6(source: str = "2001:db8::1") -> bytes:
    packed = ip_address(source).packed + ip_address("2001:db8::2").packed
    return packed + struct.pack("!HH", 4321, 25)


GOOD = [
    (b"PROXY TCP4 192.0.2.1 198.51.100.2 4321 25\r\n", "192.0.2.1"),
    (b"PROXY TCP6 2001:db8::1 2001:db8::2 4321 25\r\n", "2001:db8::1"),
    (b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 0 65535\r\n", "192.0.2.1"),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", None),
    (v2(0x21, 0x11, tcp4()), "192.0.2.1"),
    (v2(0x21, 0x11, tcp4(extra=b"\x03\x00\x04abcd\x04\x00\x00")), "192.0.2.1"),
    (v2(0x21, 0x21, tcp6()), "2001:db8::1"),
    (v2(0x21, 0x21, tcp6("::ffff:192.0.2.1")), "192.0.2.1"),
    (v2(0x20, 0x00, b""), None),
    (v2(0x20, 0x11, tcp4()), None),
    (v2(0x21, 0x31, b"\0" * 216), None),
    (v2(0x21, 0x00, b"\x04\x00\x00"), None),
]

BAD = [
    b"EHLO client.example\r\n",
    b"\x16\x03\x01\x02\x00",
    b"PROXX",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 4321\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 4321 25 \r\n",
    b"PROXY  TCP4 192.0.2.1 198.51.100.2 4321 25\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 65536 25\r\n",
    b"PROXY TCP4 192.0.2.256 198.51.100.2 4321 25\r\n",
    b"PROXY TCP4 2001:db8::1 2001:db8::2 4321 25\r\n",
    b"PROXY TCP6 192.0.2.1 198.51.100.2 4321 25\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 +1 25\r\n",
    b"PROXY UDP4 192.0.2.1 198.51.100.2 4321 25\r\n",
    b"PROXY TCP4 " + b"1" * 200,
    b"PROXY \r\n",
    v2(0x31, 0x11, tcp4()),
    v2(0x22, 0x11, tcp4()),
    v2(0x21, 0x11, tcp4()[:-1]),
    v2(0x21, 0x21, tcp4()),
    SIGNATURE + struct.pack("!BBH", 0x21, 0x11, 65535),
]


@pytest.mark.parametrize(("wire", "source"), GOOD)
@pytest.mark.parametrize("rest", [b"", b"EHLO x\r\n", b"\0"])
def test_headers_are_read(wire: bytes, source: str | None, rest: bytes) -> None:
    header = parse_proxy_header(wire + rest)
    assert header is not None
    assert header.length == len(wire)
    if source is None:
        assert header.source is header.destination is None
    else:
        assert header.source is not None
        assert header.source[0] == ip_address(source)


def test_ports_and_destination_are_read() -> None:
    for wire in (GOOD[0][0], GOOD[5][0]):
        assert parse_proxy_header(wire) == ProxyHeader(
            (ip_address("192.0.2.1"), 4321), (ip_address("198.51.100.2"), 25), len(wire)
        )


@pytest.mark.parametrize(("wire", "source"), GOOD)
def test_every_beginning_asks_for_more(wire: bytes, source: str | None) -> None:
    for end in range(len(wire)):
        assert parse_proxy_header(wire[:end]) is None


@pytest.mark.parametrize("wire", BAD)
def test_bad_headers_are_refused(wire: bytes) -> None:
    with pytest.raises(ProxyError):
        parse_proxy_header(wire)


@given(
    st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", b"PROXY TCP6 ", SIGNATURE, SIGNATURE + b"!"]),
    st.binary(max_size=300),
)
def test_any_bytes_give_a_header_or_its_error(start: bytes, rest: bytes) -> None:
    try:
        header = parse_proxy_header(start + rest)
    except ProxyError:
        return
    if header is not None:
        assert header.length <= len(start + rest)


@pytest.mark.parametrize("start", [b"PROXY ", b"PROXY TCP4 1", SIGNATURE + b"\x21\x11\x10\x00"])
@pytest.mark.parametrize("filler", [b"\0", b"1", b" ", b"\xff"])
def test_more_is_never_asked_for_beyond_the_bound(start: bytes, filler: bytes) -> None:
    try:
        assert parse_proxy_header(start.ljust(MAX_HEADER_BYTES, filler)) is not None
    except ProxyError:
        return
