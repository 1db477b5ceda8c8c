"""What a client's first message asks for (RFC 8446 §4.1.2): read before an engine is chosen.

Only what the choice needs is read. A message that does not parse is nothing to complain about
here: the engine that gets it next does, with the right alert.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# RFC 8446 §5.1 and §4: type of a record, type of a message. A hello has up to some 2 KB.
_HANDSHAKE: Final = b"\x16"
_CLIENT_HELLO: Final = b"\x01"
_MAX_BYTES: Final = 16 * 1024
_MAX_RECORDS: Final = 8
# RFC 6066 §3, RFC 7301 §3.1, RFC 8446 §4.2.1.
_SERVER_NAME: Final = 0
_ALPN: Final = 16
_SUPPORTED_VERSIONS: Final = 43
_TLS13: Final = b"\x03\x04"


@dataclass(frozen=True, slots=True)
class ClientHello:
    """The host name asked for ("" for none), the protocols offered, and TLS 1.3 being spoken."""

    server_name: str
    protocols: tuple[bytes, ...]
    tls13: bool


# What stands for a message that is none, or is too strange to be read.
UNREADABLE: Final = ClientHello("", (), tls13=False)


def read_hello(data: bytes) -> ClientHello | None:
    """Read the hello that a stream of records begins with; None: more has to come first."""
    message, at = b"", 0
    for _ in range(_MAX_RECORDS):
        header = data[at : at + 5]
        if header[:1] not in (b"", _HANDSHAKE):
            return UNREADABLE
        if len(header) < 5:
            return None
        start, at = at + 5, at + 5 + int.from_bytes(header[3:])
        message += data[start:at]
        if message[:1] not in (b"", _CLIENT_HELLO):
            return UNREADABLE
        if len(message) >= 4:
            size = 4 + int.from_bytes(message[1:4])
            if size > _MAX_BYTES:
                return UNREADABLE
            if len(message) >= size:
                return _parse(message[4:size])
        if at > len(data):
            return None
    return UNREADABLE


class _Truncated(Exception):
    """A length points behind the end."""


class _Fields:
    """The fields of a structure, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, length: int) -> bytes:
        start, self._at = self._at, self._at + length
        if self._at > len(self._data):
            raise _Truncated
        return self._data[start : self._at]

    def number(self, octets: int) -> int:
        return int.from_bytes(self.take(octets))

    def vector(self, octets: int) -> bytes:
        """A field whose length stands before it in so many octets."""
        return self.take(self.number(octets))

    def __bool__(self) -> bool:
        return self._at < len(self._data)


def _parse(body: bytes) -> ClientHello:
    name, tls13 = "", False
    protocols: tuple[bytes, ...] = ()
    try:
        fields = _Fields(body)
        fields.take(2 + 32)  # legacy version, random
        fields.vector(1)  # session id
        fields.vector(2)  # cipher suites
        fields.vector(1)  # compression methods
        extensions = _Fields(fields.vector(2) if fields else b"")
        while extensions:
            kind, value = extensions.number(2), _Fields(extensions.vector(2))
            if kind == _SERVER_NAME:
                name = _host_name(value)
            elif kind == _ALPN:
                protocols = _protocols(value)
            elif kind == _SUPPORTED_VERSIONS:
                versions = value.vector(1)
                tls13 = _TLS13 in [versions[n : n + 2] for n in range(0, len(versions), 2)]
    except _Truncated:
        return UNREADABLE
    return ClientHello(name, protocols, tls13)


def _host_name(value: _Fields) -> str:
    names = _Fields(value.vector(2))
    # RFC 6066 §3: one name at most of each type, and host_name is the only type.
    is_host = names.number(1) == 0
    name = names.vector(2)
    return name.decode("ascii", "replace") if is_host else ""


def _protocols(value: _Fields) -> tuple[bytes, ...]:
    names = _Fields(value.vector(2))
    found = []
    while names:
        found.append(names.vector(1))
    return tuple(found)
