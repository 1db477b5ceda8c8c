"""One question to name servers: a datagram out, an answer back, TCP when it does not fit.

RFC 1035 §4.2. The wire format is dnspython's; its resolver costs twice as much a question, which is
what a message from an unknown domain waits for.
"""

from __future__ import annotations

import secrets
import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype

# How long a server has for an answer in the first round, and how that grows in the next ones.
_TRY_S: Final = 2.0
_GROWTH: Final = 2
# EDNS with a payload that fits any path unfragmented (DNS flag day 2020).
_PAYLOAD: Final = 1232
_HEADER: Final = struct.Struct(">HHHHHH")
# RFC 6891 §6.1.2: root name, type OPT, payload size, no flags, no options.
_OPT: Final = struct.pack(">BHHIH", 0, dns.rdatatype.OPT, _PAYLOAD, 0, 0)
# RFC 6840 §5.7: the AD bit in a query asks for it in the answer.
_FLAGS: Final = dns.flags.RD | dns.flags.AD
_DECIDED: Final = frozenset({dns.rcode.NOERROR, dns.rcode.NXDOMAIN})


class ExchangeFailed(Exception):
    """No server gave an answer in time; the text says what the last one did."""


def ask(
    servers: Sequence[tuple[str, int]],
    name: dns.name.Name,
    rdtype: dns.rdatatype.RdataType,
    timeout_s: float,
    clock: Callable[[], float] = time.monotonic,
) -> dns.message.Message:
    """Ask the servers in turn until one answers NOERROR or NXDOMAIN. Raises ExchangeFailed."""
    end = clock() + timeout_s
    try_s = _TRY_S
    problem = "no name server"
    while servers and clock() < end:
        for server in servers:
            left_s = min(try_s, end - clock())
            if left_s <= 0:
                break
            try:
                response = _ask_one(server, name, rdtype, left_s)
            except (OSError, EOFError, dns.exception.DNSException) as e:
                problem = f"{server[0]}: {e or type(e).__name__}"
                continue
            if response.rcode() in _DECIDED:
                return response
            problem = f"{server[0]}: {dns.rcode.to_text(response.rcode())}"
        else:
            if not problem.endswith("timed out"):
                # They answered, or refused to: asking again at once would not change that.
                break
        try_s *= _GROWTH
    raise ExchangeFailed(problem)


def _ask_one(
    server: tuple[str, int],
    name: dns.name.Name,
    rdtype: dns.rdatatype.RdataType,
    timeout_s: float,
) -> dns.message.Message:
    # RFC 5452 §9: a random id and a port of its own for each question keep forgeries out.
    number = secrets.randbits(16)
    question = name.to_wire() + struct.pack(">HH", rdtype, dns.rdataclass.IN)  # type: ignore[operator]
    query = _HEADER.pack(number, _FLAGS, 1, 0, 0, 1) + question + _OPT
    response = _datagram(server, query, number, timeout_s)
    if response.flags & dns.flags.TC:
        full = dns.message.from_wire(query)
        return dns.query.tcp(full, server[0], timeout_s, server[1])
    return response


def _datagram(
    server: tuple[str, int], query: bytes, number: int, timeout_s: float
) -> dns.message.Message:
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    end = time.monotonic() + timeout_s
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect(server)
        sock.send(query)
        while True:
            sock.settimeout(max(end - time.monotonic(), 0.001))
            wire = sock.recv(65535)
            if _is_answer(wire, query, number):
                return dns.message.from_wire(wire, ignore_trailing=True, raise_on_truncation=False)


def _is_answer(wire: bytes, query: bytes, number: int) -> bool:
    """Whether a datagram answers our question; anything else is noise, or a forgery."""
    if len(wire) < _HEADER.size:
        return False
    id_, flags, questions, *_ = _HEADER.unpack_from(wire)
    if id_ != number or not flags & dns.flags.QR:
        return False
    asked = query[_HEADER.size : -len(_OPT)]
    # A server that failed may leave the question out.
    return not questions or wire[_HEADER.size :][: len(asked)].lower() == asked.lower()
