"""The client's side of SOCKS5 (RFC 1928), without connections."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.serving.socks import SocksClient, SocksError

V4 = ip_address("192.0.2.1")
V6 = ip_address("2001:db8::1")
METHOD = b"\x05\x00"
BOUND_V4 = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x04\x38"
BOUND_V6 = b"\x05\x00\x00\x04" + bytes(16) + b"\x04\x38"
BOUND_NAME = b"\x05\x00\x00\x03\x05proxy\x04\x38"


@pytest.mark.parametrize("bound", [BOUND_V4, BOUND_V6, BOUND_NAME])
@pytest.mark.parametrize(
    ("ip", "request_"),
    [
        (V4, b"\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x19"),
        (V6, b"\x05\x01\x00\x04" + V6.packed + b"\x00\x19"),
    ],
)
def test_dialogue(ip: object, request_: bytes, bound: bytes) -> None:
    client = SocksClient(ip, 25)  # type: ignore[arg-type]
    assert client.outgoing == b"\x05\x01\x00"
    assert client.receive(METHOD) == request_
    assert not client.is_connected
    assert client.receive(bound + b"220 ready\r\n") == b""
    assert client.is_connected
    assert client.rest == b"220 ready\r\n"


def test_octet_by_octet() -> None:
    client = SocksClient(V4, 25)
    sent = [client.receive(bytes((octet,))) for octet in METHOD + BOUND_NAME]
    assert [one for one in sent if one] == [b"\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x19"]
    assert client.is_connected
    assert client.rest == b""


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([b""], "closed"),
        ([b"\x04"], "does not speak SOCKS5"),
        ([b"HTTP/1.0 400"], "does not speak SOCKS5"),
        ([b"\x05\xff"], "wants a login"),
        ([b"\x05\x02"], "wants a login"),
        ([b"\x05\x00\x05"], "before it was asked"),
        ([METHOD, b""], "closed"),
        ([METHOD, b"\x04\x00"], "does not speak SOCKS5"),
        ([METHOD, b"\x05\x05"], "connection refused"),
        ([METHOD, b"\x05\x02"], "not allowed"),
        ([METHOD, b"\x05\x63"], "failure 99"),
        ([METHOD, b"\x05\x00\x00\x02\x00"], "unknown type of address"),
    ],
)
def test_failures(answers: list[bytes], error: str) -> None:
    client = SocksClient(V4, 25)
    *before, last = answers
    for answer in before:
        client.receive(answer)
    with pytest.raises(SocksError, match=error):
        client.receive(last)
    assert not client.is_connected


@given(st.lists(st.binary(max_size=30)))
def test_anything_raises_only_its_own_error(pieces: list[bytes]) -> None:
    client = SocksClient(V4, 25)
    try:
        for piece in pieces:
            if client.is_connected:
                break
            client.receive(piece)
    except SocksError:
        assert not client.is_connected
