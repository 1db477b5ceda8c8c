"""Trace fields that are put in front of a message, and folding for long fields.

RFC 5321 §4.4 and RFC 5322 §3.6.7. Everything comes out in wire form.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from mox.address import Address, Domain, Path, format_domain
from mox.message.dates import format_date

IPAddress = IPv4Address | IPv6Address

# RFC 5322 §2.1.1: lines should have no more than 78 characters.
_MAX_COLUMN = 76


class FoldedField:
    """Builds one header field from tokens that are never split.

    A token that would pass column 76 goes to a new line, which begins with a tab.

    >>> field = FoldedField("Authentication-Results")
    >>> field.add("mox.example;").newline()
    >>> bytes(field.add("iprev=pass", "policy.iprev=192.0.2.10"))
    b'Authentication-Results: mox.example;\\r\\n\\tiprev=pass policy.iprev=192.0.2.10\\r\\n'
    """

    __slots__ = ("_at_line_start", "_column", "_pieces")

    def __init__(self, name: str) -> None:
        self._pieces = [f"{name}:"]
        self._column = len(name) + 1
        self._at_line_start = False

    def add(self, *tokens: str, separator: str = " ") -> FoldedField:
        """Add tokens, each after the separator (which is dropped at the start of a line)."""
        if not tokens:
            return self
        text = separator.join(tokens)
        if not self._at_line_start:
            text = separator + text
        # Mostly all of them fit on the line.
        if self._column + len(text) <= _MAX_COLUMN and text.isprintable() and all(tokens):
            self._pieces.append(text)
            self._column += len(text)
            self._at_line_start = False
            return self
        pieces, column, at_line_start = self._pieces, self._column, self._at_line_start
        gap = len(separator)
        for token in tokens:
            if not token.isprintable():
                token = clean(token)
            width = column + gap + len(token)
            if at_line_start:
                pieces.append(token)
                column = width - gap
                at_line_start = not token
            elif width <= _MAX_COLUMN or column <= 1:
                pieces.append(separator + token)
                column = width
            else:
                # What is not white space of the separator belongs to the line before.
                pieces.append(f"{separator.rstrip()}\r\n\t{token}")
                column = 1 + len(token)
                at_line_start = not token
        self._column, self._at_line_start = column, at_line_start
        return self

    def newline(self) -> None:
        """Begin a new line."""
        self._pieces.append("\r\n\t")
        self._column = 1
        self._at_line_start = True

    def __bytes__(self) -> bytes:
        return ("".join(self._pieces) + "\r\n").encode("utf-8", "replace")


def clean(token: str) -> str:
    """Replace what must not be in a header line: CR, LF, NUL and other controls."""
    if token.isprintable():
        return token
    return "".join([c if c.isprintable() or c == "\t" else "?" for c in token])


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """The facts for a Received field."""

    helo: Domain | IPv4Address | IPv6Address | str  # str: a name that is no valid domain
    remote_ip: IPAddress | None  # None hides the client's address and names
    reverse_name: str = ""  # verified name of remote_ip, without final dot
    hostname: Domain
    local_ip: IPAddress
    protocol: str  # see `protocol_name`
    requiretls: bool = False
    id: str
    tls: str = ""  # version and cipher suite, such as `TLS1.3 TLS_AES_128_GCM_SHA256`
    recipient: Path | Address | None = None
    when: int  # seconds since the epoch
    smtputf8: bool = False


def protocol_name(*, extended: bool, tls: bool, authenticated: bool, smtputf8: bool) -> str:
    """Return the word after "with" (RFC 3848, RFC 6531 §4.3)."""
    base = "UTF8SMTP" if smtputf8 else "ESMTP" if extended else "SMTP"
    return base + ("S" if tls else "") + ("A" if authenticated else "")


def received(facts: Received) -> bytes:
    """Return the Received field."""
    utf8 = facts.smtputf8
    field = FoldedField("Received").add("from", _name(facts.helo, utf8))
    if facts.remote_ip is not None:
        literal = format_domain(facts.remote_ip, utf8)
        is_new = facts.reverse_name.lower() not in ("", _plain_name(facts.helo).lower())
        field.add(f"({facts.reverse_name} {literal})" if is_new else f"({literal})")
    field.add("by", _name(facts.hostname, utf8), f"({format_domain(facts.local_ip, utf8)})")
    field.add("via", "tcp", "with", facts.protocol)
    if facts.requiretls:
        # RFC 8689 §4.2.1 leaves the trace of it to a comment.
        field.add("(requiretls)")
    field.add("id", facts.id)
    if facts.tls:
        field.add(f"({facts.tls})")
    if facts.recipient is not None:
        field.add("for", f"<{facts.recipient.pack(utf8)}>")
    # RFC 5321 §4.4: the date follows a semicolon, with or without "for".
    field.add(";", separator="").add(format_date(facts.when))
    return bytes(field)


def received_by_http(
    hostname: Domain,
    *,
    id: str,
    tls: str,
    recipient: Path | Address | None,
    when: int,
    smtputf8: bool = False,
) -> bytes:
    """Return the Received field of a message that did not come by SMTP; it hides the client."""
    name = _name(hostname, smtputf8)
    field = FoldedField("Received").add("from", name, "by", name, "id", id)
    if tls:
        field.add(f"({tls})")
    if recipient is not None:
        field.add("for", f"<{recipient.pack(smtputf8)}>")
    field.add(";", separator="").add(format_date(when))
    return bytes(field)


def _name(host: Domain | IPAddress | str, smtputf8: bool) -> str:
    if isinstance(host, str):
        return host
    if isinstance(host, Domain) and smtputf8 and host.unicode != host.ascii:
        return f"{host.unicode} ({host.ascii})"
    return format_domain(host, smtputf8)


def _plain_name(host: Domain | IPAddress | str) -> str:
    return host.ascii if isinstance(host, Domain) else str(host)


def return_path(path: Path) -> bytes:
    """Return the Return-Path field (RFC 5321 §4.4); the domain is in ASCII form."""
    return f"Return-Path: <{clean(path.pack(smtputf8=False))}>\r\n".encode("utf-8", "replace")


def delivered_to(recipient: Path | Address) -> bytes:
    """Return the Delivered-To field (RFC 9228)."""
    return f"Delivered-To: {clean(recipient.pack(smtputf8=True))}\r\n".encode("utf-8", "replace")
