"""A DNS server on loopback whose zone, AD bit and failures a test decides."""

from __future__ import annotations

import socket
import threading

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset


class FakeDNS:
    """Serves `zone`: {("name", "TYPE"): ["rdata", …]} over UDP and TCP on 127.0.0.1.

    A name that is in no key does not exist; rdata "SERVFAIL" or "DROP" fail. Queries are kept
    in `queries`. Use as context manager.
    """

    def __init__(self, zone: dict[tuple[str, str], list[str]], *, authentic: bool = False) -> None:
        self.zone = zone
        self.authentic = authentic
        self.queries: list[tuple[str, str]] = []
        self._udp, self._tcp = _bind_both()
        self.port: int = self._udp.getsockname()[1]
        self._threads = [
            threading.Thread(target=self._serve_udp, daemon=True),
            threading.Thread(target=self._serve_tcp, daemon=True),
        ]

    def __enter__(self) -> FakeDNS:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for sock in (self._udp, self._tcp):
            sock.close()

    @property
    def server(self) -> str:
        """For the environment variable MOX_DNS_SERVER."""
        return f"127.0.0.1:{self.port}"

    def _serve_udp(self) -> None:
        while True:
            try:
                wire, peer = self._udp.recvfrom(4096)
            except OSError:
                return
            reply = self._answer(wire)
            if reply is not None:
                limit = max(512, reply.payload or 512)
                self._udp.sendto(reply.to_wire(max_size=65535)[:limit], peer)

    def _serve_tcp(self) -> None:
        while True:
            try:
                conn, _ = self._tcp.accept()
            except OSError:
                return
            with conn:
                conn.settimeout(5)
                length = int.from_bytes(conn.recv(2), "big")
                reply = self._answer(conn.recv(length))
                if reply is not None:
                    wire = reply.to_wire()
                    conn.sendall(len(wire).to_bytes(2, "big") + wire)

    def _answer(self, wire: bytes) -> dns.message.Message | None:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        rdtype = dns.rdatatype.to_text(question.rdtype)
        self.queries.append((name, rdtype))
        reply = dns.message.make_response(query, recursion_available=True)
        if self.authentic:
            reply.flags |= dns.flags.AD
        records = self.zone.get((name, rdtype))
        if records == ["DROP"]:
            return None
        if records == ["SERVFAIL"]:
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif records:
            reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", rdtype, *records))
        elif not any(known == name for known, _ in self.zone):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply


def _bind_both() -> tuple[socket.socket, socket.socket]:
    """UDP and TCP sockets on one free port of 127.0.0.1."""
    for _ in range(50):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        tcp = socket.socket()
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tcp.bind(udp.getsockname())
        except OSError:
            udp.close()
            tcp.close()
            continue
        tcp.listen(16)
        return udp, tcp
    raise OSError("no port free for both UDP and TCP")
