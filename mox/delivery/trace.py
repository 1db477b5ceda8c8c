"""Trace header fields: what a message gets put in front when we take it (RFC 5321 §4.4).

A line is folded before the token that would pass column 76; tokens are never split.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from mox.address import Domain, Path, format_domain
from mox.delivery.decision import Decision

FOLD_AT: Final = 76
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trace:
    """Where a message came in. `client` None: a user's own device, of which nothing is told."""

    hostname: str  # ours, ASCII
    protocol: str  # "ESMTPS" and the like
    id: str
    received: float  # seconds since the epoch
    local_ip: IPv4Address | IPv6Address | None = None
    client: Client | None = None
    tls: str = ""  # "TLS1.3 TLS_AES_128_GCM_SHA256"
    requiretls: bool = False
    smtputf8: bool = False


@dataclass(frozen=True, slots=True)
class Client:
    """The other server. `reverse_name` is what its address resolves to, "" if not known."""

    ip: IPv4Address | IPv6Address
    hello: str  # as it called itself, cleaned
    domain: Domain | None  # of the same, when it is a name
    reverse_name: str = ""


def protocol(*, extended: bool, smtputf8: bool, tls: bool, authenticated: bool) -> str:
    """Return the name for the `with` clause (RFC 3848, RFC 6531 §4.3)."""
    base = "UTF8SMTP" if smtputf8 else "ESMTP" if extended else "SMTP"
    return base + "S" * tls + "A" * authenticated


def fold(name: str, tokens: Iterable[str]) -> bytes:
    """Return a header field from tokens that may be put on lines of their own."""
    lines = [f"{name}:"]
    for token in tokens:
        if len(lines[-1]) + 1 + len(token) > FOLD_AT and lines[-1] != f"{name}:":
            lines.append(f"\t{token}")
        else:
            lines[-1] += f" {token}"
    return ("\r\n".join(lines) + "\r\n").encode("utf-8", "replace")


def date(seconds: float) -> str:
    """Return a date-time in UTC without day of week (RFC 5322 §3.3)."""
    t = time.gmtime(seconds)
    clock = f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02}"
    return f"{t.tm_mday} {_MONTHS[t.tm_mon - 1]} {t.tm_year} {clock} +0000"


def received(trace: Trace, recipient: Path | None) -> bytes:
    """Return the Received field; `recipient` None when there are several (RFC 5321 §7.2)."""
    tokens = ["from", *_client(trace), "by", trace.hostname]
    if trace.local_ip is not None and trace.client is not None:
        tokens.append(f"({format_domain(trace.local_ip, False)})")
    tokens += ["via", "tcp", "with", trace.protocol]
    if trace.requiretls:
        tokens.append("(requiretls)")
    tokens += ["id", trace.id]
    if trace.tls:
        tokens.append(f"({trace.tls})")
    if recipient is not None:
        tokens += ["for", f"<{recipient.pack(trace.smtputf8)}>"]
    tokens[-1] += ";"
    tokens.append(date(trace.received))
    return fold("Received", tokens)


def _client(trace: Trace) -> list[str]:
    client = trace.client
    if client is None:
        return [trace.hostname]
    literal = format_domain(client.ip, False)
    tokens = [client.hello or literal]
    domain = client.domain
    if domain is not None:
        tokens = [domain.pack(trace.smtputf8)]
        if trace.smtputf8 and domain.unicode != domain.ascii:
            tokens.append(f"({domain.ascii})")
    shown = client.reverse_name.rstrip(".")
    if shown and (domain is None or shown != domain.ascii):
        return [*tokens, f"({shown}", f"{literal})"]
    return [*tokens, f"({literal})"]


def reason(decision: Decision) -> bytes:
    """Return the X-Mox-Reason field."""
    parts = [f"{text};" for text in (decision.reason, *decision.details)]
    lead = " ".join(parts[:2])
    return "\r\n\t".join([f"X-Mox-Reason: {lead}", *parts[2:], ""]).rstrip("\t").encode()


def stored_prefix(
    trace: Trace, decision: Decision, delivered_to: str, reverse_path: Path, recipient: Path
) -> bytes:
    """Return all fields that a message gets for the mailbox, in their order, wire form."""
    # RFC 5321 §4.4: Return-Path in final delivery. Delivered-To keeps forwarders from looping.
    return b"".join(
        (
            reason(decision),
            f"Delivered-To: {delivered_to}\r\n".encode(),
            f"Return-Path: <{reverse_path.pack(False)}>\r\n".encode(),
            received(trace, recipient),
        )
    )
