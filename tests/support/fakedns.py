"""A DNS server on loopback whose zone, AD bit and failures a test decides."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

TTL = 60
Question = tuple[str, str]


@dataclass
class Mischief:
    """What else than the zone decides about answers.

    delays: seconds until the answer, by question. raw: makes the answer's octets from the
    question's, for UDP and TCP alike. insecure: names without AD bit though the rest has it.
    cuts_streams: TCP connections end in the middle of the answer. stalls_streams: they stay open
    there, and nothing more comes.
    """

    delays: dict[Question, float] = field(default_factory=dict)
    raw: dict[Question, Callable[[bytes], bytes]] = field(default_factory=dict)
    insecure: set[str] = field(default_factory=set)
    cuts_streams: bool = False
    stalls_streams: bool = False


class FakeDNS:
    """Serves `zone`: {("name", "TYPE"): ["rdata", …]} over UDP and TCP on 127.0.0.1.

    A name that is in no key does not exist; negative answers have the SOA record of a name above.
    CNAMEs are followed like a recursive server does. Rdata "SERVFAIL", "SERVFAIL 6 text" (with an
    extended error), "REFUSED", "DROP" fail. What does not fit a datagram is truncated. Queries are
    kept in `queries`. Use as context manager.
    """

    def __init__(
        self,
        zone: dict[Question, list[str]],
        *,
        authentic: bool = False,
        mischief: Mischief | None = None,
    ) -> None:
        self.zone = zone
        self.authentic = authentic
        self.mischief = mischief or Mischief()
        self.queries: list[Question] = []
        self._udp, self._tcp = _bind_both()
        self.port: int = self._udp.getsockname()[1]
        self._timers: list[threading.Timer] = []
        self._threads = [
            threading.Thread(target=self._serve_udp, daemon=True),
            threading.Thread(target=self._serve_tcp, daemon=True),
        ]

    def __enter__(self) -> FakeDNS:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for timer in self._timers:
            timer.cancel()
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
            question = self._note(wire)
            delay_s = self.mischief.delays.get(question, 0)
            if delay_s:
                timer = threading.Timer(delay_s, self._send, (wire, question, peer))
                timer.daemon = True
                self._timers.append(timer)
                timer.start()
            else:
                self._send(wire, question, peer)

    def _send(self, wire: bytes, question: Question, peer: tuple[str, int]) -> None:
        reply = self._answer(wire, question, datagram=True)
        if reply is not None:
            try:
                self._udp.sendto(reply, peer)
            except OSError:
                return  # the test is over

    def _serve_tcp(self) -> None:
        while True:
            try:
                conn, _ = self._tcp.accept()
            except OSError:
                return
            with conn:
                conn.settimeout(5)
                length = int.from_bytes(conn.recv(2), "big")
                wire = conn.recv(length)
                reply = self._answer(wire, self._note(wire), datagram=False)
                if reply is not None:
                    self._send_stream(conn, reply)

    def _send_stream(self, conn: socket.socket, reply: bytes) -> None:
        is_broken = self.mischief.cuts_streams or self.mischief.stalls_streams
        sent = len(reply) // 2 if is_broken else len(reply)
        conn.sendall(len(reply).to_bytes(2, "big") + reply[:sent])
        if self.mischief.stalls_streams:
            conn.recv(1)  # until the other side has had enough

    def _note(self, wire: bytes) -> Question:
        asked = dns.message.from_wire(wire).question[0]
        name = asked.name.to_text(omit_final_dot=True).lower()
        question = name, dns.rdatatype.to_text(asked.rdtype)
        self.queries.append(question)
        return question

    def _answer(self, wire: bytes, question: Question, *, datagram: bool) -> bytes | None:
        raw = self.mischief.raw.get(question)
        if raw is not None:
            return raw(wire)
        query = dns.message.from_wire(wire)
        reply = self._reply(query, *question)
        if reply is None:
            return None
        octets = reply.to_wire(max_size=65535)
        if datagram and len(octets) > max(512, query.payload or 512):
            cut = dns.message.make_response(query, recursion_available=True)
            cut.flags |= dns.flags.TC
            return cut.to_wire()
        return octets

    def _reply(
        self, query: dns.message.Message, name: str, rdtype: str
    ) -> dns.message.Message | None:
        reply = dns.message.make_response(query, recursion_available=True)
        if self.authentic and name not in self.mischief.insecure:
            reply.flags |= dns.flags.AD
        owner = self._follow(reply, name, rdtype)
        records = self.zone.get((owner, rdtype), [])
        failure = records[0].split(" ", 2) if records else [""]
        if failure[0] == "DROP":
            return None
        if failure[0] in ("SERVFAIL", "REFUSED"):
            reply.set_rcode(dns.rcode.from_text(failure[0]))
            if len(failure) == 3:
                option = dns.edns.EDEOption(int(failure[1]), failure[2])
                reply.use_edns(0, options=[option])
        elif records:
            reply.answer.append(dns.rrset.from_text(owner + ".", TTL, "IN", rdtype, *records))
        else:
            if not any(known == owner for known, _ in self.zone):
                reply.set_rcode(dns.rcode.NXDOMAIN)
            self._add_soa(reply, owner)
        return reply

    def _follow(self, reply: dns.message.Message, name: str, rdtype: str) -> str:
        seen: set[str] = set()
        while rdtype != "CNAME" and name not in seen and (name, "CNAME") in self.zone:
            seen.add(name)
            target = self.zone[name, "CNAME"][0]
            reply.answer.append(dns.rrset.from_text(name + ".", TTL, "IN", "CNAME", target))
            name = target.rstrip(".").lower()
        return name

    def _add_soa(self, reply: dns.message.Message, name: str) -> None:
        while name:
            if soa := self.zone.get((name, "SOA")):
                reply.authority.append(dns.rrset.from_text(name + ".", TTL, "IN", "SOA", *soa))
                return
            name = name.partition(".")[2]


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
