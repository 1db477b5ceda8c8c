"""One question to name servers: a datagram out, an answer back, TCP when it does not fit.

RFC 1035 §4.2. This is what a message from an unknown domain waits for: dnspython's resolver and
messages cost several times as much. Answers are measured before they are read.
"""

from __future__ import annotations

import secrets
import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import Final

import dns.flags
import dns.rcode
import dns.rdatatype

from mox.dns.answer import ExtendedError
from mox.dns.response import HEADER, RCODE, BadResponse, Response, read_response
from mox.dns.sockets import Server, Sockets, connected

# How long a server has for an answer in the first round, and how that grows in the next ones.
_TRY_S: Final = 2.0
_GROWTH: Final = 2
# EDNS with a payload that fits any path unfragmented (DNS flag day 2020).
_PAYLOAD: Final = 1232
# Nobody needs more for mail; parsing it costs some milliseconds.
_MAX_OCTETS: Final = 16384
_MAX_RECORDS: Final = 400
_LENGTH: Final = struct.Struct(">H")
# RFC 6891 §6.1.2: root name, type OPT, payload size, no flags, no options.
_OPT: Final = struct.pack(">BHHIH", 0, dns.rdatatype.OPT, _PAYLOAD, 0, 0)
# RFC 6840 §5.7: the AD bit in a query asks for it in the answer.
_FLAGS: Final = dns.flags.RD | dns.flags.AD
_OPCODE: Final = 0x7800
_DECIDED: Final = frozenset({dns.rcode.NOERROR, dns.rcode.NXDOMAIN})


class ExchangeFailed(Exception):
    """No server gave an answer in time; the text says what the last one did."""

    def __init__(self, problem: str, extended: ExtendedError | None = None) -> None:
        super().__init__(problem)
        self.extended = extended


def ask(
    servers: Sequence[Server],
    question: bytes,
    timeout_s: float,
    sockets: Sockets,
    clock: Callable[[], float] = time.monotonic,
) -> Response:
    """Ask the servers in turn until one answers NOERROR or NXDOMAIN. Raises ExchangeFailed.

    `question`: name, type and class in wire form. `sockets` are kept for the next question.
    """
    end = clock() + timeout_s
    try_s = _TRY_S
    problem, extended = "no name server", None
    silent = bool(servers)
    while silent and clock() < end:
        silent = False
        for server in servers:
            left_s = min(try_s, end - clock())
            if left_s <= 0:
                break
            try:
                response = _ask_one(server, question, left_s, clock, sockets)
            except TimeoutError:
                problem, silent = f"{server[0]}: timed out", True
                continue
            except (OSError, EOFError, BadResponse) as e:
                problem = f"{server[0]}: {e or type(e).__name__}"
                continue
            if response.rcode in _DECIDED:
                return response
            extended = response.extended_error or extended
            problem = f"{server[0]}: {dns.rcode.to_text(dns.rcode.Rcode.make(response.rcode))}"
        # Without a silent one: they answered, or refused to; asking again would not change that.
        try_s *= _GROWTH
    raise ExchangeFailed(f"{problem} ({extended})" if extended else problem, extended)


def _ask_one(
    server: Server,
    question: bytes,
    timeout_s: float,
    clock: Callable[[], float],
    sockets: Sockets,
) -> Response:
    # RFC 5452 §9: a random id and, to another machine, a port of its own keep forgeries out.
    query = HEADER.pack(secrets.randbits(16), _FLAGS, 1, 0, 0, 1) + question + _OPT
    end = clock() + timeout_s
    wire = _datagram(server, query, end, clock, sockets)
    if HEADER.unpack_from(wire)[1] & dns.flags.TC:
        # RFC 7766 §5: what was cut off is asked for again over TCP.
        wire = _stream(server, query, end, clock)
    return _parsed(wire)


def _datagram(
    server: Server, query: bytes, end: float, clock: Callable[[], float], sockets: Sockets
) -> bytes:
    sock = sockets.take(server)
    try:
        sock.settimeout(_left(end, clock))
        sock.send(query)
        while True:
            # One more octet than is taken shows what is too long.
            wire = sock.recv(_MAX_OCTETS + 1)
            if _is_answer(wire, query):
                break
            sock.settimeout(_left(end, clock))
    except BaseException:
        sock.close()
        raise
    sockets.give_back(server, sock)
    return wire


def _stream(server: Server, query: bytes, end: float, clock: Callable[[], float]) -> bytes:
    with connected(server, socket.SOCK_STREAM, _left(end, clock)) as sock:
        sock.sendall(_LENGTH.pack(len(query)) + query)
        (length,) = _LENGTH.unpack(_exactly(sock, _LENGTH.size, end, clock))
        if length > _MAX_OCTETS:
            raise BadResponse(f"answer of {length} octets is too long")
        wire = _exactly(sock, length, end, clock)
    if not _is_answer(wire, query):
        raise BadResponse("answer to another question")
    return wire


def _exactly(sock: socket.socket, octets: int, end: float, clock: Callable[[], float]) -> bytes:
    got = bytearray()
    while len(got) < octets:
        sock.settimeout(_left(end, clock))
        piece = sock.recv(octets - len(got))
        if not piece:
            raise EOFError("connection closed in the middle of the answer")
        got += piece
    return bytes(got)


def _left(end: float, clock: Callable[[], float]) -> float:
    left_s = end - clock()
    if left_s <= 0:
        raise TimeoutError
    return left_s


def _is_answer(wire: bytes, query: bytes) -> bool:
    """Whether a message answers our question; anything else is noise, or a forgery."""
    if len(wire) < HEADER.size:
        return False
    id_, flags, questions, *_ = HEADER.unpack_from(wire)
    # RFC 1035 §4.1.1: a response (QR) to a standard query (opcode 0).
    if id_ != HEADER.unpack_from(query)[0] or flags & (dns.flags.QR | _OPCODE) != dns.flags.QR:
        return False
    if not questions:
        # A server that failed may leave the question out.
        return flags & RCODE not in _DECIDED
    asked = query[HEADER.size : -len(_OPT)]
    return questions == 1 and wire[HEADER.size :][: len(asked)].lower() == asked.lower()


def _parsed(wire: bytes) -> Response:
    if len(wire) > _MAX_OCTETS:
        raise BadResponse(f"answer of more than {_MAX_OCTETS} octets is too long")
    records = sum(HEADER.unpack_from(wire)[3:])
    if records > _MAX_RECORDS:
        raise BadResponse(f"answer with {records} records is too long")
    return read_response(wire)
